import fc from 'fast-check'
import { type Address, type Hex, toFunctionSelector, toHex } from 'viem'
import { privateKeyToAccount, sign } from 'viem/accounts'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eip712CoordinatorAbi } from '../../src/protocol/abi/eip712-coordinator.ts'
import { containersHash } from '../../src/protocol/container-hash.ts'
import { parseDelegated } from '../../src/protocol/delegated.ts'
import { type Delegation, delegationKey, toDelegation } from '../../src/protocol/delegation.ts'
import {
  isCanonical,
  recoverSigner,
  type Signature,
  splitSignature,
  toCanonical,
} from '../../src/protocol/signature.ts'
import { digestOf } from '../../src/protocol/typed-data.ts'
import { type Contract, deploy, startTestChain, type TestChain } from '../support/chain.ts'

/** What is signed, and what of it the coordinator takes: as published, and as the contract itself reckons. */

const zero = `0x${'0'.repeat(40)}` as const
const owner = '0x5FbDB2315678afecb367f032d93F642f64180aa3'
const request = {
  signature: {
    nonce: 0,
    expiry: 4_000_000_000,
    v: 28,
    r: '65889417385093675483514529008005148195244649598130052620358945592247573155127',
    s: '16018341389967729144927587724194533901951834912209301449609113421241962407810',
  },
  subscription: {
    owner,
    active_at: 0,
    period: 0,
    frequency: 1,
    redundancy: 1,
    containers: containersHash(['hello-world']),
    lazy: false,
    verifier: zero,
    payment_amount: 0,
    payment_token: zero,
    wallet: zero,
  },
}

describe('published', () => {
  const domain = { chainId: 31_337, coordinator: '0x2E983A1Ba5e8b38AAAeC4B440B9dDcFBf72E15d1' } as const
  const digest = '0xac49612ca74230a45eff5705b1ae8f46452cc1576a25f9168c6d607521932a09'

  test('default: the digest of a request, and its signer', async () => {
    const { subscription, signature } = parseDelegated(request).request!
    expect(digestOf(domain, toDelegation(subscription, signature))).toBe(digest)
    expect(await recoverSigner(digest, signature)).toBe('0x90f79bf6eb2c4f870365e785982e1f101e93b906')
  })

  test('default: hashes of containers, and the key of a nonce', () => {
    expect(containersHash(['hello-world'])).toBe(
      '0x5768661526084c7b4d30f7224ed6c74ade98db3c6c395c55400a17f34a547e22',
    )
    expect(containersHash(['echo'])).toBe(
      '0xe6bc11afcedb3f26d7fb181f4c6dd2e98781d79f965a4777058412b58f788ec8',
    )
    expect(containersHash(['a', 'b'])).toBe(
      '0x0deeac3a841600829c99f8116bb997da266d4c47a720b00e6ace9594de82dd54',
    )
    expect(containersHash(['b', 'a'])).toBe(
      '0x73ede0fe4b30aa8027db6b64635734b367776b05dc0bcf986c744c6bcbf6892e',
    )
    expect(delegationKey(owner, 0)).toBe('0xdf7ad3c7a2e3db70708daeb487d406b3e889e02ca33162d16b44f6ca5b94f74e')
  })

  test('behavior: a signature for another chain or coordinator has another signer', async () => {
    const { subscription, signature } = parseDelegated(request).request!
    const delegation = toDelegation(subscription, signature)
    for (const other of [
      { ...domain, chainId: 1 },
      { ...domain, coordinator: zero },
    ])
      expect(await recoverSigner(digestOf(other, delegation), signature)).not.toBe(
        '0x90f79bf6eb2c4f870365e785982e1f101e93b906',
      )
  })
})

const uint = (bits: number) => fc.bigInt({ min: 0n, max: 2n ** BigInt(bits) - 1n })
const number = (bits: number) =>
  fc.oneof(uint(bits), fc.constantFrom(0n, 1n, 2n ** BigInt(bits) - 1n)).map(Number)
const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length }).map(toHex)
const address = bytes(20)
const delegation = fc.record({
  nonce: number(32),
  // After the chain's own time: what has expired is refused before anybody looks at the signature.
  expiry: fc.integer({ min: 3_000_000_000, max: 2 ** 32 - 1 }),
  sub: fc.record({
    owner: address.filter(hex => BigInt(hex) > 0xffffn),
    activeAt: number(32),
    period: number(32),
    frequency: number(32),
    redundancy: number(16),
    containerId: bytes(32),
    lazy: fc.boolean(),
    verifier: address,
    paymentAmount: fc.oneof(uint(256), fc.constantFrom(0n, 2n ** 256n - 1n)),
    paymentToken: address,
    wallet: address,
  }),
})

type Submitted = Delegation & Signature

/** Of secp256k1. */
const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n
const word = (value: bigint) => toHex(value, { size: 32 })

describe('on a chain', () => {
  const privateKey = `0x${'a1'.repeat(32)}` as const
  const account = privateKeyToAccount(privateKey)
  let chain: TestChain
  let probe: Contract
  let signerCode: Hex
  let delegator: Address

  beforeAll(async () => {
    chain = await startTestChain({ blockGas: 1_000_000_000 })
    probe = await deploy(chain, { name: 'DelegationProbe' })
    const signer = await deploy(chain, { name: 'DigestSigner', file: 'DelegationProbe' })
    signerCode = (await chain.deployer.chain.getCode(signer))!
    const args = [chain.registry, account.address]
    delegator = (await deploy(chain, { name: 'EmptyDelegator', file: 'Bench', args })).address
  }, 180_000)
  afterAll(async () => await chain?.close())

  const selectors = new Map([
    [toFunctionSelector('Taken()'), 'taken'],
    ...eip712CoordinatorAbi
      .filter(item => item.type === 'error')
      .map(({ name, inputs }): [Hex, string] => [
        toFunctionSelector(`${name}(${inputs.map(({ type }) => type).join()})`),
        name,
      ]),
  ])

  /** What the coordinator makes of each; at the addresses of `signers` there are `DigestSigner`s. */
  async function outcomesOf(requests: readonly Submitted[], signers: readonly Address[] = []) {
    const { result } = await chain.deployer.chain.simulateContract({
      ...probe,
      functionName: 'outcomes',
      args: [chain.coordinator, requests],
      stateOverride: [...new Set(signers)].map(at => ({ address: at, code: signerCode })),
    })
    return (result as Hex[]).map(selector => selectors.get(selector) ?? selector)
  }

  test('default: the digest is the one that the contract asks about, for 2,000 requests', async () => {
    const domain = { chainId: chain.id, coordinator: chain.coordinator }
    const property = fc.asyncProperty(
      fc.array(delegation, { minLength: 200, maxLength: 200 }),
      async requests => {
        const shown = requests.map(signed => ({
          ...signed,
          v: 0,
          r: digestOf(domain, signed),
          s: word(0n),
        }))
        const owners = requests.map(({ sub }) => sub.owner)
        expect(await outcomesOf(shown, owners)).toEqual(requests.map(() => 'taken'))
        const others = shown.map(({ r, ...rest }) => ({ ...rest, r: word(BigInt(r) ^ 1n) }))
        expect(await outcomesOf(others, owners)).toEqual(requests.map(() => 'SignerMismatch'))
      },
    )
    await fc.assert(property, { numRuns: 10, endOnFailure: true })
  }, 120_000)

  /** Signatures of the owner's signer, bent: each part as it was, turned over, at an edge, or any other. */
  const bend = fc.record({
    v: fc.oneof(fc.constant(null), fc.constantFrom(0, 1, 26, 27, 28, 29, 30, 255), number(8)),
    r: fc.oneof(
      { weight: 3, arbitrary: fc.constant(null) },
      { weight: 1, arbitrary: fc.constantFrom(0n, 1n, order - 1n, order, order + 1n, 2n ** 256n - 1n) },
      { weight: 1, arbitrary: uint(256) },
    ),
    s: fc.oneof(
      { weight: 3, arbitrary: fc.constant(null) },
      { weight: 1, arbitrary: fc.constant('other' as const) },
      {
        weight: 1,
        arbitrary: fc.constantFrom(0n, 1n, order / 2n, order / 2n + 1n, order - 1n, order, 2n ** 256n - 1n),
      },
      { weight: 1, arbitrary: uint(256) },
    ),
  })

  async function bentSignature(
    hash: Hex,
    { v, r, s }: { v: number | null; r: bigint | null; s: bigint | 'other' | null },
  ): Promise<Signature> {
    const good = await sign({ hash, privateKey })
    const bentS = s === 'other' ? order - BigInt(good.s) : s
    return {
      v: v ?? Number(good.v),
      r: r === null ? good.r : word(r),
      s: bentS === null ? good.s : word(bentS),
    }
  }

  async function judge(digest: Hex, signature: Signature): Promise<string> {
    const signer = await recoverSigner(digest, signature)
    if (signer === null) return 'InvalidSignature'
    return signer === account.address.toLowerCase() ? 'taken' : 'SignerMismatch'
  }

  test('default: a signature is judged as the contract judges it, for 1,000 of them', async () => {
    const domain = { chainId: chain.id, coordinator: chain.coordinator }
    const items = fc.array(fc.tuple(delegation, bend), { minLength: 100, maxLength: 100 })
    const seen = new Map<string, number>()
    const property = fc.asyncProperty(items, async bent => {
      const submitted = await Promise.all(
        bent.map(async ([asked, bend]): Promise<Submitted> => {
          const signed = { ...asked, sub: { ...asked.sub, owner: delegator } }
          return { ...signed, ...(await bentSignature(digestOf(domain, signed), bend)) }
        }),
      )
      const judged = await Promise.all(submitted.map(one => judge(digestOf(domain, one), one)))
      const outcomes = await outcomesOf(submitted)
      expect(outcomes).toEqual(judged)
      for (const outcome of outcomes) seen.set(outcome, (seen.get(outcome) ?? 0) + 1)
    })
    await fc.assert(property, { numRuns: 10, endOnFailure: true })
    for (const outcome of ['taken', 'InvalidSignature', 'SignerMismatch'])
      expect([outcome, seen.get(outcome) ?? 0]).toEqual([outcome, expect.toSatisfy(count => count > 50)])
  }, 120_000)

  test("behavior: a signature whose key is no point is nobody's, as on the chain", async () => {
    const domain = { chainId: chain.id, coordinator: chain.coordinator }
    const gx = 0x79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798n
    const [asked] = fc.sample(delegation, 1)
    const signed = { ...asked!, sub: { ...asked!.sub, owner: delegator } }
    const digest = digestOf(domain, signed)
    // R is the generator, or its negative, and s the hash: what remains is zero times the curve.
    const s = BigInt(digest) % order
    const isLow = s <= order / 2n
    const signature = { v: isLow ? 27 : 28, r: word(gx), s: word(isLow ? s : order - s) }
    expect(isCanonical(signature)).toBe(true)
    expect(await recoverSigner(digest, signature)).toBeNull()
    expect(await outcomesOf([{ ...signed, ...signature }])).toEqual(['InvalidSignature'])
  })

  test('default: containers hash as Solidity hashes their names, for 1,000 chains', async () => {
    const hasher = await deploy(chain, { name: 'ContainerHasher', file: 'DelegationProbe' })
    const name = fc.string({ unit: 'binary', maxLength: 80 }).filter(text => text.isWellFormed())
    const routes = fc.array(fc.array(name, { minLength: 1, maxLength: 10 }), {
      minLength: 100,
      maxLength: 100,
    })
    const property = fc.asyncProperty(routes, async chains => {
      const hashes = await chain.deployer.chain.readContract({
        ...hasher,
        functionName: 'hashesOf',
        args: [chains.map(containers => containers.join(','))],
      })
      expect(chains.map(containersHash)).toEqual(hashes)
    })
    await fc.assert(property, { numRuns: 10, endOnFailure: true })
  })
})

describe('toCanonical, splitSignature', () => {
  const privateKey = `0x${'b2'.repeat(32)}` as const
  const { address: signer } = privateKeyToAccount(privateKey)

  test('default: what wallets give becomes what the coordinator takes', async () => {
    const property = fc.asyncProperty(bytes(32), fc.boolean(), fc.boolean(), async (hash, bare, high) => {
      const { v, r, s } = await sign({ hash, privateKey })
      const bit = (Number(v) - 27) ^ Number(high)
      const given = {
        v: bare ? bit : bit + 27,
        r,
        s: high ? word(order - BigInt(s)) : s,
      }
      expect(isCanonical(given)).toBe(!bare && !high)
      const canonical = toCanonical(given)
      expect(canonical).toEqual({ v: Number(v), r, s })
      expect(await recoverSigner(hash, canonical)).toBe(signer.toLowerCase())
    })
    await fc.assert(property, { numRuns: 50 })
  })

  test('behavior: 65 bytes are r, s and v; other lengths are nothing', () => {
    const [r, s] = [`0x${'AB'.repeat(32)}`, `0x${'cd'.repeat(32)}`] as const
    expect(splitSignature(`0x${r.slice(2)}${s.slice(2)}1c`)).toEqual({ v: 28, r: r.toLowerCase(), s })
    for (const length of [0, 64, 66, 130]) expect(splitSignature(toHex(new Uint8Array(length)))).toBeNull()
    expect(splitSignature(`0x${'zz'.repeat(65)}`)).toBeNull()
  })
})
