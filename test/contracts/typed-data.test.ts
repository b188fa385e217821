import fc from 'fast-check'
import {
  type Address,
  type ContractFunctionReturnType,
  concatHex,
  createPublicClient,
  createTestClient,
  encodeAbiParameters,
  getAddress,
  type Hex,
  hashTypedData,
  http,
  keccak256,
  pad,
  stringToHex,
  toHex,
} from 'viem'
import { privateKeyToAccount, sign } from 'viem/accounts'
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  anvilAccount,
  createDeployer,
  type LocalChain,
  startLocalChain,
} from '../../src/local/chain/start.ts'
import { eip712CoordinatorAbi } from '../../src/protocol/abi/eip712-coordinator.ts'
import { readFixture } from './fixture.ts'

/** What the coordinator takes for signed, and which interval it reckons, against the same reckoned here. */

let chain: LocalChain
let delegator: Address
const client = () => createPublicClient({ transport: http(chain.rpcUrl) })
const privateKey = keccak256(stringToHex('signer'))
const runs = 60

beforeAll(async () => {
  chain = await startLocalChain()
  const { wallet, chain: reads } = createDeployer(chain.rpcUrl, anvilAccount(5))
  const { abi, bytecode } = readFixture('Bench', 'EmptyDelegator')
  const { address: signer } = privateKeyToAccount(privateKey)
  const hash = await wallet.deployContract({ abi, bytecode, args: [chain.registry, signer] })
  const { contractAddress } = await reads.waitForTransactionReceipt({ hash })
  delegator = getAddress(contractAddress!)
})
afterAll(async () => await chain.close())

const uint = (bits: number) => fc.bigInt({ min: 0n, max: (1n << BigInt(bits)) - 1n })
const uint32 = uint(32).map(Number)
const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length }).map(toHex)
const address = bytes(20).map(hex => getAddress(hex))
const terms = fc.record({
  activeAt: uint32,
  period: uint32,
  frequency: uint32,
  redundancy: uint(16).map(Number),
  containerId: bytes(32),
  lazy: fc.boolean(),
  verifier: address,
  paymentAmount: uint(256),
  paymentToken: address,
  wallet: address,
})

test('default: a request signed as EIP-712 says is taken, and stored as it was signed', async () => {
  const property = fc.asyncProperty(terms, uint32, async (asked, nonce) => {
    const sub = { owner: delegator, ...asked }
    const expiry = 4_294_967_295
    const digest = digestOf({ nonce, expiry, sub })
    expect(digest).toBe(
      hashTypedData({ domain: domain(), types, primaryType, message: { nonce, expiry, sub } }),
    )
    const { r, s, v } = await sign({ hash: digest, privateKey })
    expect(await storedBy([nonce, expiry, sub, Number(v), r, s])).toEqual(sub)
    // Any other content has another digest, and so seems to be signed by somebody else.
    const other = { ...sub, paymentAmount: sub.paymentAmount ^ 1n }
    const refused = client().simulateContract({
      address: chain.coordinator,
      abi: eip712CoordinatorAbi,
      functionName: 'createSubscriptionDelegatee',
      args: [nonce, expiry, other, Number(v), r, s],
    })
    await expect(refused).rejects.toThrow('SignerMismatch')
  })
  await fc.assert(property, { numRuns: runs })
})

test('default: an interval is the floor of the time since, modulo 2^32, and one more', async () => {
  const property = fc.asyncProperty(
    uint32,
    fc.oneof(uint32, fc.constantFrom(0, 1, 60, 3600)),
    async (activeAt, period) => {
      const block = await client().getBlock()
      const interval = await client().readContract({
        address: chain.coordinator,
        abi: eip712CoordinatorAbi,
        functionName: 'getSubscriptionInterval',
        args: [activeAt, period],
        blockNumber: block.number,
      })
      const since = BigInt.asUintN(32, block.timestamp - BigInt(activeAt))
      const expected = period === 0 ? 1n : BigInt.asUintN(32, since / BigInt(period) + 1n)
      expect(BigInt(interval)).toBe(expected)
    },
  )
  await fc.assert(property, { numRuns: runs })
})

type Submitted = readonly [nonce: number, expiry: number, sub: Subscription, v: number, r: Hex, s: Hex]
type Subscription = ContractFunctionReturnType<typeof eip712CoordinatorAbi, 'view', 'getSubscription'>

/** What is stored under the nonce once the request is submitted. Undone then: another may have the same nonce. */
async function storedBy(args: Submitted): Promise<Subscription> {
  const coordinator = { address: chain.coordinator, abi: eip712CoordinatorAbi } as const
  const { wallet, chain: reads } = createDeployer(chain.rpcUrl, anvilAccount(5))
  const anvil = createTestClient({ mode: 'anvil', transport: http(chain.rpcUrl) })
  const snapshot = await anvil.snapshot()
  const hash = await wallet.writeContract({
    ...coordinator,
    functionName: 'createSubscriptionDelegatee',
    args,
  })
  await reads.waitForTransactionReceipt({ hash })
  const key = keccak256(encodeAbiParameters([{ type: 'address' }, { type: 'uint32' }], [delegator, args[0]]))
  const id = await reads.readContract({ ...coordinator, functionName: 'delegateCreatedIds', args: [key] })
  const stored = await reads.readContract({ ...coordinator, functionName: 'getSubscription', args: [id] })
  await anvil.revert({ id: snapshot })
  return stored
}

const primaryType = 'DelegateSubscription'
const subscriptionType =
  'Subscription(address owner,uint32 activeAt,uint32 period,uint32 frequency,uint16 redundancy,bytes32 containerId,bool lazy,address verifier,uint256 paymentAmount,address paymentToken,address wallet)'
const types = {
  DelegateSubscription: [
    { name: 'nonce', type: 'uint32' },
    { name: 'expiry', type: 'uint32' },
    { name: 'sub', type: 'Subscription' },
  ],
  Subscription: subscriptionType
    .slice('Subscription('.length, -1)
    .split(',')
    .map(member => {
      const [type = '', name = ''] = member.split(' ')
      return { type, name }
    }),
}

function domain() {
  return { name: 'InfernetCoordinator', version: '1', chainId: 31_337, verifyingContract: chain.coordinator }
}

type Signed = { nonce: number; expiry: number; sub: { owner: Address } & Record<string, unknown> }

/** By hand, word by word, from the standard: the members of a struct, each padded to 32 bytes, after the hash of its type. */
function digestOf({ nonce, expiry, sub }: Signed): Hex {
  const word = (value: unknown): Hex => {
    if (typeof value === 'boolean') return pad(toHex(value ? 1 : 0))
    return typeof value === 'string' ? pad(value as Hex) : pad(toHex(value as number | bigint))
  }
  const members = types.Subscription.map(({ name }) => word(sub[name]))
  const subHash = keccak256(concatHex([keccak256(stringToHex(subscriptionType)), ...members]))
  const type = `DelegateSubscription(uint32 nonce,uint32 expiry,Subscription sub)${subscriptionType}`
  const hash = keccak256(concatHex([keccak256(stringToHex(type)), word(nonce), word(expiry), subHash]))
  const separator = keccak256(
    encodeAbiParameters(
      [
        { type: 'bytes32' },
        { type: 'bytes32' },
        { type: 'bytes32' },
        { type: 'uint256' },
        { type: 'address' },
      ],
      [
        keccak256(
          stringToHex('EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)'),
        ),
        keccak256(stringToHex('InfernetCoordinator')),
        keccak256(stringToHex('1')),
        31_337n,
        chain.coordinator,
      ],
    ),
  )
  return keccak256(concatHex(['0x1901', separator, hash]))
}
