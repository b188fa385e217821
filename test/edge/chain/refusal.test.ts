import { toHex } from 'viem'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { createRpcPool } from '../../../src/edge/chain/pool.ts'
import { type Refusal, refusalOf, saidOf, words } from '../../../src/edge/chain/refusal.ts'
import type { Rpc, RpcCall } from '../../../src/edge/chain/rpc.ts'
import { type RpcProxy, startRpcProxy } from '../../support/rpc-proxy.ts'

/** Two nodes: the first refuses what it is told to refuse, the second answers everything. Of no deployment: there are no contracts. */
let servers: [RpcProxy, RpcProxy]
const chainId = 7

beforeAll(async () => {
  const start = () =>
    startRpcProxy(({ method }) => ({ result: toHex(method === 'eth_chainId' ? chainId : 1) }))
  servers = [await start(), await start()]
})
afterEach(() => {
  for (const server of servers) {
    server.setFault(undefined)
    server.setOverride(undefined)
  }
})
afterAll(async () => await Promise.all(servers.map(server => server.close())))

function createPool(count: 1 | 2 = 2): Rpc {
  let clock = 0
  const sleep = async (ms: number) => {
    clock += ms
  }
  return createRpcPool({
    urls: servers.slice(0, count).map(({ url }) => url),
    chainId,
    now: () => clock,
    sleep,
  })
}

type Row = readonly [code: number, message: string]

function refuse(method: string, [code, message]: Row): RpcCall {
  servers[0].setOverride(call => (call.method === method ? { error: { code, message } } : null))
  return { method, params: ['0x00'] }
}

const told = [{ result: '0x1' }]
const call = 'eth_call'
const estimate = 'eth_estimateGas'
const send = 'eth_sendRawTransaction'

/** What nodes say, word for word; who says it; and what it means. */
const runs: readonly (readonly [who: string, ...Row, Refusal])[] = [
  ['geth', 3, 'execution reverted', 'reverted'],
  ['geth', 3, 'execution reverted: rate limit exceeded', 'reverted'],
  ['geth', -32_000, 'execution reverted', 'reverted'],
  ['geth', -32_000, 'err: execution reverted: nonce too low (supplied gas 30000000)', 'reverted'],
  ['besu', -32_000, 'Execution reverted', 'reverted'],
  ['besu', -32_000, 'Execution reverted (insufficient funds)', 'reverted'],
  ['nethermind', -32_015, 'VM execution error.', 'reverted'],
  ['nethermind', -32_015, 'Reverted 0x08c379a0', 'reverted'],
  ['reth', 3, 'execution reverted: no', 'reverted'],
  ['anvil', -32_603, 'VM Exception while processing transaction: reverted', 'reverted'],
  ['geth', -32_000, 'out of gas', 'out_of_gas'],
  ['geth', -32_000, 'gas required exceeds allowance (30000000)', 'out_of_gas'],
  ['erigon', -32_000, 'contract creation code storage out of gas', 'out_of_gas'],
  ['nethermind', -32_000, 'OutOfGas', 'out_of_gas'],
  [
    'nethermind',
    -32_000,
    'Cannot estimate gas, gas spent exceeded transaction and block gas limit',
    'out_of_gas',
  ],
  ['besu', -32_000, 'Execution halted: INSUFFICIENT_GAS', 'out_of_gas'],
  ['reth', -32_003, 'out of gas: gas required exceeds allowance: 50000000', 'out_of_gas'],
  ['anvil', -32_603, 'EVM error OutOfGas', 'out_of_gas'],
  ['geth', -32_000, 'invalid opcode: INVALID', 'halted'],
  ['geth', -32_000, 'invalid jump destination', 'halted'],
  ['geth', -32_000, 'stack underflow (0 <=> 2)', 'halted'],
  ['geth', -32_000, 'stack limit reached 1024 (1023)', 'halted'],
  ['geth', -32_000, 'max call depth exceeded', 'halted'],
  ['geth', -32_000, 'write protection', 'halted'],
  ['nethermind', -32_000, 'BadInstruction', 'halted'],
  ['nethermind', -32_000, 'StaticCallViolation', 'halted'],
  ['reth', -32_603, 'EVM error: StackUnderflow', 'halted'],
  ['besu', -32_000, 'Invalid opcode: 0xfe', 'halted'],
  ['geth', -32_000, 'execution aborted (timeout = 5s)', 'timeout'],
  ['geth', -32_000, 'insufficient funds for gas * price + value: balance 0, tx cost 1, overshot 1', 'unpaid'],
  ['besu', -32_004, 'Upfront cost exceeds account balance', 'unpaid'],
  ['nethermind', -32_000, 'InsufficientFunds, Account balance: 0, cumulative cost: 1', 'unpaid'],
  ['anvil', -32_003, 'Insufficient funds for gas * price + value', 'unpaid'],
  ['geth', -32_000, 'intrinsic gas too low: gas 21000, minimum needed 21644', 'gas'],
  ['anvil', -32_003, 'intrinsic gas too high -- tx.gas_limit > env.block.gas_limit', 'gas'],
  ['besu', -32_003, 'Intrinsic gas exceeds gas limit', 'gas'],
]
const sends: typeof runs = [
  ['geth', -32_000, 'already known', 'known'],
  ['erigon', -32_000, 'ALREADY_EXISTS: already known', 'known'],
  ['erigon', -32_000, 'existing tx with same hash', 'known'],
  ['nethermind', -32_010, 'AlreadyKnown', 'known'],
  ['besu', -32_000, 'Known transaction', 'known'],
  ['anvil', -32_003, 'transaction already imported', 'known'],
  ['geth', -32_000, 'nonce too low: next nonce 4, tx nonce 3', 'nonce_used'],
  ['nethermind', -32_010, 'OldNonce, Current nonce: 5, nonce of rejected tx: 4.', 'nonce_used'],
  ['besu', -32_001, 'Nonce too low', 'nonce_used'],
  ['anvil', -32_003, 'nonce too low', 'nonce_used'],
  ['geth', -32_000, 'nonce too high: tx nonce 9, gapped nonce', 'nonce_gap'],
  ['nethermind', -32_010, 'NonceGap, Future nonce. Expected nonce: 1', 'nonce_gap'],
  ['besu', -32_006, 'Transaction nonce is too distant from current sender nonce', 'nonce_gap'],
  ['geth', -32_000, 'future transaction tries to replace pending', 'nonce_gap'],
  ['geth', -32_000, 'replacement transaction underpriced', 'too_cheap'],
  ['geth', -32_000, 'transaction underpriced: gas tip cap 1, minimum needed 2', 'too_cheap'],
  ['geth', -32_000, 'max fee per gas less than block base fee: address 0xab, maxFeePerGas: 1', 'too_cheap'],
  ['erigon', -32_000, 'FEE_TOO_LOW: underpriced', 'too_cheap'],
  ['erigon', -32_000, 'could not replace existing tx', 'too_cheap'],
  ['nethermind', -32_010, 'FeeTooLow, MaxFeePerGas too low.', 'too_cheap'],
  ['nethermind', -32_010, 'ReplacementNotAllowed', 'too_cheap'],
  ['besu', -32_009, 'Gas price below configured minimum gas price', 'too_cheap'],
  ['besu', -32_000, 'gasPrice is less than the current BaseFee', 'too_cheap'],
  ['anvil', -32_003, 'max fee per gas less than block base fee', 'too_cheap'],
  ['geth', -32_000, 'tx fee (2.00 ether) exceeds the configured cap (1.00 ether)', 'too_dear'],
  ['besu', -32_000, 'Transaction fee cap exceeded', 'too_dear'],
  ['geth', -32_000, 'max priority fee per gas higher than max fee per gas', 'too_dear'],
  ['besu', -32_000, 'Max priority fee per gas cannot be greater than max fee per gas', 'too_dear'],
  ['geth', -32_000, 'insufficient funds for gas * price + value: have 1 want 2', 'unpaid'],
  ['geth', -32_000, 'intrinsic gas too low', 'gas'],
  ['geth', -32_000, 'exceeds block gas limit', 'gas'],
  ['geth', -32_000, 'transaction gas limit too high (cap: 16777216, tx: 30000000)', 'gas'],
  ['nethermind', -32_010, 'GasLimitExceeded, Gas limit: 1, gas limit of rejected tx: 2.', 'gas'],
  ['geth', -32_000, 'transaction type not supported', 'invalid'],
  ['geth', -32_000, 'invalid sender', 'invalid'],
  ['geth', -32_000, 'invalid chain id for signer: have 1 want 7', 'invalid'],
  ['geth', -32_000, 'oversized data: transaction size 200000, limit 131072', 'invalid'],
  ['geth', -32_000, 'only replay-protected (EIP-155) transactions allowed over RPC', 'invalid'],
  ['nethermind', -32_010, 'FailedToResolveSender', 'invalid'],
]
/** What no chain says of a call: rates, plans, blocks that are not there, trouble, and what nobody knows. */
const troubles: readonly (readonly [...Row, problem: string | null])[] = [
  [-32_000, 'Your app has exceeded its compute units: too many requests', 'limits our rate (-32000)'],
  [-32_005, 'daily request count exceeded, request rate limited', 'limits our rate (-32005)'],
  [429, 'slowly', 'limits our rate (429)'],
  [-32_000, 'header not found', 'has not got the block (-32000)'],
  [-32_000, 'unknown block', 'has not got the block (-32000)'],
  [-32_602, 'BlockOutOfRangeError: block height is 5 but requested was 10', 'has not got the block (-32602)'],
  [-32_000, 'missing trie node ab (path )', 'has no state of the block (-32000)'],
  [-32_000, 'state 0xab is not available', 'has no state of the block (-32000)'],
  [-32_002, 'request timed out', 'has trouble (-32002)'],
  [-32_603, 'internal error', 'has an internal error (-32603)'],
  [-32_000, 'txpool is full', null],
  [-32_601, 'the method is not available on your plan', null],
  [-32_600, 'Archive requests require a personal token', null],
  [-32_602, 'invalid block tag', null],
  [-32_010, 'something of its own', null],
]

describe('what the chain says', () => {
  test.for(runs)('default: %s: %d %s', async ([, code, message, refusal]) => {
    for (const method of [call, estimate]) {
      const pool = createPool()
      expect(await pool.send([refuse(method, [code, message])])).toEqual([{ error: { code, message } }])
      expect(pool.status()[0]?.problem).toBeNull()
    }
    expect(refusalOf({ code, message })).toBe(refusal)
  })

  test.for(sends)('default: of a transaction: %s: %d %s', async ([, code, message, refusal]) => {
    const pool = createPool(1)
    expect(await pool.sendToAll([refuse(send, [code, message])])).toEqual([[{ error: { code, message } }]])
    expect(pool.status()[0]?.problem).toBeNull()
    expect(refusalOf({ code, message })).toBe(refusal)
  })

  test('behavior: data is a revert’s, whatever is said', async () => {
    const error = { code: -32_000, message: 'missing trie node', data: '0x08c379a0' }
    servers[0].setOverride(({ method }) => (method === call ? { error } : null))
    expect(await createPool().send([{ method: call, params: [] }])).toEqual([{ error }])
  })

  test('behavior: a chain without tips says so', async () => {
    const [code, message] = [
      -32_601,
      'the method eth_maxPriorityFeePerGas does not exist/is not available',
    ] as const
    const asked = refuse('eth_maxPriorityFeePerGas', [code, message])
    expect(await createPool().send([asked])).toEqual([{ error: { code, message } }])
    expect(await createPool().send([refuse('eth_maxPriorityFeePerGas', [-32_000, 'no'])])).toEqual(told)
  })
})

describe('what an endpoint says', () => {
  test.for(troubles)('default: %d %s: another is asked', async ([code, message, problem]) => {
    for (const method of [call, estimate]) {
      const pool = createPool()
      expect(await pool.send([refuse(method, [code, message])])).toEqual(told)
      expect(pool.status()[0]?.problem).toBe(problem ?? `refuses ${method} (${code})`)
    }
  })

  test.for(['eth_getBalance', 'eth_getTransactionReceipt', 'eth_getBlockByNumber'])(
    'behavior: %s is never refused by the chain',
    async method => {
      for (const [, code, message] of [...runs, ...sends].slice(0, 12)) {
        const pool = createPool()
        expect(await pool.send([refuse(method, [code, message])])).toEqual(told)
        expect(pool.status()[0]?.problem).not.toBeNull()
      }
    },
  )

  test.for([
    [call, 'nonce too low'],
    [estimate, 'already known'],
  ] as const)('behavior: what is said of transactions is no answer to %s', async ([method, message]) => {
    expect(await createPool().send([refuse(method, [-32_000, message])])).toEqual(told)
  })

  test('behavior: what nobody knows, of one call, is not known; the others of its batch are answered', async () => {
    const pool = createPool(1)
    const calls = [refuse(estimate, [-32_010, 'no plan s3cret']), { method: 'eth_getBalance', params: [] }]
    expect(await pool.send(calls)).toEqual([
      { error: { code: 0, message: 'refuses eth_estimateGas (-32010)', isUnclear: true } },
      { result: '0x1' },
    ])
    expect(await pool.sendToAll([refuse(send, [-32_010, 'no plan s3cret'])])).toEqual([
      [{ error: { code: 0, message: 'refuses eth_sendRawTransaction (-32010)', isUnclear: true } }],
    ])
  })
})

test('behavior: what is shown of a refusal is ours', () => {
  for (const [, code, message, refusal] of [...runs, ...sends])
    if (refusal !== 'reverted') expect(saidOf({ code, message })).toBe(words[refusal])
  expect(saidOf({ code: 3, message: 'execution reverted' })).toBe('execution reverted')
  expect(saidOf({ code: 3, message: 'execution reverted: not today' })).toBe('execution reverted: not today')
})
