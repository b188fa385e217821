import {
  type Address,
  createWalletClient,
  custom,
  getAddress,
  type Hex,
  http,
  parseEventLogs,
  zeroAddress,
} from 'viem'
import { privateKeyToAccount, toAccount } from 'viem/accounts'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createClient } from '../../src/client/client.ts'
import { containersHash } from '../../src/client/containers-hash.ts'
import { type NewSubscription, type SigningTerms, signDelegatedSubscription } from '../../src/client/sign.ts'
import type { Signer } from '../../src/client/signer.ts'
import { eip712CoordinatorAbi } from '../../src/protocol/abi/eip712-coordinator.ts'
import { parseDelegated } from '../../src/protocol/delegated.ts'
import { toDelegation } from '../../src/protocol/delegation.ts'
import { parseJson, plain } from '../../src/protocol/json.ts'
import type { DelegationTypedData } from '../../src/protocol/typed-data.ts'
import { deploy, startTestChain, type TestChain } from '../support/chain.ts'
import { infoOf, startFakeNode } from './fake-node.ts'

const privateKey = `0x${'c3'.repeat(32)}` as const
const account = privateKeyToAccount(privateKey)
const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n
const created = {
  id: 'd1',
  status_url: '/api/delegated/d1',
  job_id: null,
  chain_id: 31_337,
  subscription_id: null,
  interval: 1,
}

let chain: TestChain
let consumer: Address
let terms: Omit<SigningTerms, 'nonce'>
let nonces = 0

beforeAll(async () => {
  chain = await startTestChain()
  const args = [chain.registry, account.address]
  consumer = getAddress((await deploy(chain, { name: 'EmptyDelegator', file: 'Bench', args })).address)
  terms = { expiry: 4_000_000_000, chainId: chain.id, coordinator: chain.coordinator }
}, 120_000)
afterAll(async () => await chain?.close())

function setup() {
  nonces += 1
  const subscription: NewSubscription = { owner: consumer, containers: ['hello-world', 'echo'] }
  return { subscription, ...terms, nonce: nonces }
}

/** What a node does with a body as it came: parses it, and delivers to the coordinator. @returns what is on the chain then. */
async function deliver(body: string) {
  const { request } = parseDelegated(plain(parseJson(body)))
  if (!request) throw new Error(body)
  const { nonce, expiry, sub } = toDelegation(request.subscription, request.signature)
  const { v, r, s } = request.signature
  const { wallet, chain: reads } = chain.deployer
  const coordinator = { address: chain.coordinator, abi: eip712CoordinatorAbi } as const
  const hash = await wallet.writeContract({
    ...coordinator,
    functionName: 'deliverComputeDelegatee',
    args: [nonce, expiry, sub, v, r, s, 1, '0x', '0x01', '0x', zeroAddress],
  })
  const { logs, status } = await reads.waitForTransactionReceipt({ hash })
  expect(status).toBe('success')
  const [event] = parseEventLogs({ abi: eip712CoordinatorAbi, eventName: 'SubscriptionCreated', logs })
  return await reads.readContract({ ...coordinator, functionName: 'getSubscription', args: [event!.args.id] })
}

const usual = () => ({
  owner: consumer,
  activeAt: 0,
  period: 0,
  frequency: 1,
  redundancy: 1,
  containerId: containersHash(['hello-world', 'echo']),
  lazy: false,
  verifier: zeroAddress,
  paymentAmount: 0n,
  paymentToken: zeroAddress,
  wallet: zeroAddress,
})

/** A wallet of a browser, that signs what it is shown as JSON. */
const provider = {
  async request({ method, params }: { method: string; params: unknown[] }) {
    expect([method, params[0]]).toEqual(['eth_signTypedData_v4', account.address])
    return await account.signTypedData(JSON.parse(params[1] as string))
  },
}

/** An account whose signatures are bent. */
const bent = (bend: (signature: Hex) => Hex): Signer => ({
  address: account.address,
  signTypedData: async (typedData: DelegationTypedData) => bend(await account.signTypedData(typedData)),
})
const withV = (signature: Hex, change: (v: number) => number): Hex =>
  `${signature.slice(0, -2) as Hex}${change(Number(`0x${signature.slice(-2)}`))
    .toString(16)
    .padStart(2, '0')}`
const withHighS = (signature: Hex): Hex => {
  const s = order - BigInt(`0x${signature.slice(66, 130)}`)
  return withV(
    `${signature.slice(0, 66) as Hex}${s.toString(16).padStart(64, '0')}${signature.slice(130)}`,
    v => 55 - v,
  )
}

describe('createDelegatedSubscription', () => {
  const signers: Record<string, () => Signer> = {
    'an account of viem': () => account,
    'a wallet client of viem with an account': () =>
      createWalletClient({ account, transport: http(chain.rpcUrl) }),
    'a wallet client of viem over a wallet in the browser': () =>
      createWalletClient({ account: account.address, transport: custom(provider) }),
    'a wallet in the browser': () => ({ address: account.address, provider }),
    'a wallet whose v is 0 or 1': () => bent(signature => withV(signature, v => v - 27)),
    'a wallet whose s is in the upper half': () => bent(withHighS),
  }
  test.each(Object.entries(signers))('default: %s signs what the coordinator takes', async (_, open) => {
    await using node = await startFakeNode(() => ({ json: created }))
    const client = createClient({ url: node.url })
    const asked = { ...setup(), signer: open(), dataJson: '{"n": 1.0}' }
    expect(await client.createDelegatedSubscription(asked)).toEqual(created)
    const [{ request, body } = { request: '', body: '' }] = node.asked
    expect(request).toBe('POST /api/jobs')
    expect(body.endsWith(',"chain_id":31337,"data":{"n": 1.0}}')).toBe(true)
    expect(await deliver(body)).toEqual(usual())
  })

  test('default: what was signed before is sent as it is, every field of it', async () => {
    await using node = await startFakeNode(() => ({ json: created }))
    const subscription = {
      owner: consumer,
      containers: containersHash(['echo']),
      active_at: 1_700_000_000,
      period: 3600,
      frequency: 4_294_967_295,
      redundancy: 65_535,
      lazy: true,
      payment_amount: 2n ** 256n - 1n,
      payment_token: `0x${'11'.repeat(20)}`,
      wallet: zeroAddress,
      verifier: `0x${'22'.repeat(20)}`,
    }
    const signed = await signDelegatedSubscription(account, { ...setup(), subscription })
    await createClient({ url: node.url }).createDelegatedSubscription({ ...signed, data: { a: 1 } })
    const { body } = node.asked[0]!
    expect(parseDelegated(plain(parseJson(body)))).toEqual({ request: signed })
    expect(body).toContain(`"payment_amount":${2n ** 256n - 1n},`)
    expect(body).toMatch(/"r":\d+,"s":\d+}/)
  })

  test('default: chain and coordinator are asked from the node', async () => {
    let info = infoOf(chain)
    await using node = await startFakeNode(request => ({ json: request === 'GET /info' ? info : created }))
    const client = createClient({ url: node.url })
    const { chainId, coordinator, ...rest } = setup()
    const asked = { ...rest, signer: account, data: {} }
    await client.createDelegatedSubscription(asked)
    info = infoOf({ id: 1, coordinator: zeroAddress }, chain)
    await client.createDelegatedSubscription({ ...asked, chainId })
    const [, first, , second] = node.asked
    expect(await deliver(first!.body)).toEqual(usual())
    expect(second).toEqual(first)
    const refused = async (more: object, message: string) =>
      await expect(client.createDelegatedSubscription({ ...asked, ...more })).rejects.toMatchObject({
        ...{ name: 'InfernetError', code: 'invalid_request', status: null, message },
      })
    await refused({}, 'The node serves 2 chains: say which')
    await refused({ coordinator }, 'The node serves 2 chains: say which')
    await refused({ chainId: 5 }, 'The node does not serve chain 5')
    info = infoOf({ id: chain.id, coordinator: null })
    await refused({}, `The node knows no coordinator of chain ${chain.id}: It does not answer`)
    info = infoOf()
    await refused({}, 'The node serves no chain')
  })

  test("behavior: refusals are the node's", async () => {
    const refusal = { error: 'Signature expired', code: 'signature_expired', params: { expiry: 1 } }
    await using node = await startFakeNode(() => ({ status: 400, json: refusal }))
    const client = createClient({ url: node.url })
    await expect(
      client.createDelegatedSubscription({ ...setup(), signer: account, data: {} }),
    ).rejects.toMatchObject({ status: 400, code: 'signature_expired', message: 'Signature expired' })
    expect(node.asked).toHaveLength(1)
  })

  test('behavior: what is wrong is not sent', async () => {
    await using node = await startFakeNode(() => ({ json: created }))
    const client = createClient({ url: node.url })
    const signed = await signDelegatedSubscription(account, setup())
    const send = (request: typeof signed, dataJson = '{}') =>
      client.createDelegatedSubscription({ ...request, dataJson })
    const { signature } = signed
    await expect(send({ ...signed, signature: { ...signature, v: 256 } })).rejects.toMatchObject({
      code: 'invalid_request',
      message: 'Invalid subscription: signature.v: must be a whole number from 0 to 255',
    })
    await expect(send(signed, '{},"chain_id":1')).rejects.toMatchObject({ code: 'invalid_request' })
    expect(node.asked).toEqual([])
  })
})

describe('signDelegatedSubscription', () => {
  test('behavior: every field that is wrong is named, and nothing is signed', async () => {
    const refused = async (subscription: object, more: object = {}) => {
      const asked = setup()
      const request = { ...asked, ...more, subscription: { ...asked.subscription, ...subscription } }
      const error: Error = await signDelegatedSubscription(
        bent(() => '0x'),
        request,
      ).then(
        () => expect.unreachable(),
        reason => reason,
      )
      expect(error).toMatchObject({ name: 'InfernetError', code: 'invalid_request', status: null })
      return error.message
    }
    expect(await refused({ redundancy: 65_536, payment_amount: -1n }, { nonce: 1.5, chainId: 0 })).toBe(
      'Invalid subscription: ' +
        'subscription.redundancy: must be a whole number from 0 to 65535; ' +
        'subscription.payment_amount: must be a whole number from 0 to 2^256 - 1 with all its digits, or the same as text: decimal, or 0x and hexadecimal digits; ' +
        'terms.nonce: must be a whole number from 0 to 4294967295; ' +
        'terms.chainId: must be a whole number from 1 to 9007199254740991',
    )
    const typo = consumer.replace(/[a-f](?=[^a-f]*$)/i, letter =>
      letter === letter.toLowerCase() ? letter.toUpperCase() : letter.toLowerCase(),
    )
    expect(await refused({ owner: typo })).toBe(
      'Invalid subscription: subscription.owner: has a wrong checksum',
    )
    expect(await refused({ period: 60 })).toBe('Invalid subscription: subscription.active_at: is missing')
    expect(await refused({ containers: ['a,b'] })).toContain('Invalid field: containers: must be 1-128 of')
    expect(await refused({ containers: [] })).toBe('Invalid field: containers: must name at least one')
    expect(await refused({ containers: 'hello-world' })).toContain(
      'subscription.containers: must be 32 bytes',
    )
  })

  test('behavior: what a contract accepts stays as its wallet gave it', async () => {
    const bytes = `0x${'ff'.repeat(64)}1f` as const
    const { signature } = await signDelegatedSubscription(
      { address: consumer, signTypedData: async () => bytes },
      setup(),
    )
    expect(signature).toMatchObject({ v: 31, r: `0x${'ff'.repeat(32)}`, s: `0x${'ff'.repeat(32)}` })
  })

  test('behavior: a wallet that refuses, or gives something else than 65 bytes, has not signed', async () => {
    const rejected = new Error('User rejected the request')
    const wallets: Signer[] = [
      { address: account.address, provider: { request: () => Promise.reject(rejected) } },
      { address: account.address, provider: { request: async () => null } },
      bent(signature => signature.slice(0, -2) as Hex),
    ]
    for (const wallet of wallets)
      await expect(signDelegatedSubscription(wallet, setup())).rejects.toMatchObject({ code: 'not_signed' })
    await expect(signDelegatedSubscription(wallets[0]!, setup())).rejects.toHaveProperty('cause', rejected)
  })

  test('behavior: an account of any kind signs, for that chain alone', async () => {
    const hardware = toAccount({
      address: account.address,
      signMessage: account.signMessage,
      signTransaction: account.signTransaction,
      signTypedData: account.signTypedData,
    })
    const asked = setup()
    const one = await signDelegatedSubscription(hardware, asked)
    expect(one).toEqual(await signDelegatedSubscription(account, asked))
    const other = await signDelegatedSubscription(account, { ...asked, chainId: 1 })
    expect(other.signature.r).not.toBe(one.signature.r)
  })
})
