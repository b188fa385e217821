import {
  type Address,
  decodeFunctionData,
  encodeAbiParameters,
  encodeErrorResult,
  encodeEventTopics,
  encodeFunctionResult,
  type Hex,
  keccak256,
  numberToHex,
  parseTransaction,
  recoverTransactionAddress,
  type TransactionSerialized,
  toHex,
  zeroAddress,
  zeroHash,
} from 'viem'
import type { Block } from '../../../../src/edge/chain/chain.ts'
import type { Rpc, RpcAnswer, RpcCall } from '../../../../src/edge/chain/rpc.ts'
import { eip712CoordinatorAbi } from '../../../../src/protocol/abi/eip712-coordinator.ts'
import { signer } from './node.ts'

/** A chain in plain data, with a coordinator that takes one answer for each interval, whoever sends it. */
export type ModelChain = {
  rpc: Rpc
  coordinator: Address
  head(): Block
  hashAt(number: number): Hex | undefined
  /** Takes what waits, by nonce, into one block. `withhold`: it is left out, as when others pay more. `seconds`: since the last block; 12. */
  mine(options?: { withhold?: boolean; seconds?: number }): void
  /** Undoes blocks, and makes one more than were undone, so that the branch is the longer one. `lose`: what was in them is forgotten. */
  reorg(depth: number, options: { lose: boolean }): void
  /** An account's key is used elsewhere too: its next nonce is taken. Where that is undone, what waited for it does so again. */
  intrude(account: Address): void
  /** Endpoints forget what waits. */
  forget(): void
  /** Answers accepted, as 'subscription/interval', on the branch that is. */
  accepted(): string[]
  /** `feeCap`: the most that endpoints let a transaction cost. */
  settings: {
    baseFee: bigint
    balance: bigint
    feeCap: bigint
    refusesSends: boolean
    refusesOne: boolean
  }
}

type Transaction = {
  hash: Hex
  from: Address
  nonce: number
  maxFee: bigint
  gas: bigint
  to: Address
  data: Hex
  isForeign: boolean
  /** What waited for its nonce before. */
  before: Transaction | undefined
}
type Receipt = { transaction: Transaction; succeeded: boolean; failed: number[]; accepted: string[] }
type ModelBlock = { block: Block; receipts: Receipt[] }

export const coordinator: Address = '0x00000000000000000000000000000000000c0de0'
const secondsPerBlock = 12
/** Of a delivery. */
const deliveryGas = 100_000n

export function createModelChain(): ModelChain {
  let forks = 0
  const blocks: ModelBlock[] = []
  /** By account and nonce. */
  const waiting = new Map<string, Transaction>()
  const settings = {
    baseFee: 1_000_000_000n,
    balance: 10n ** 18n,
    feeCap: 10n ** 18n,
    refusesSends: false,
    refusesOne: false,
  }
  const head = () => blocks.at(-1)!.block
  const receipts = () => blocks.flatMap(({ receipts: all }) => all)
  const nonceOf = (account: Address) =>
    receipts().filter(({ transaction }) => transaction.from === account.toLowerCase()).length
  const accepted = () => receipts().flatMap(receipt => receipt.accepted)

  function append(included: readonly Transaction[], seconds = secondsPerBlock): void {
    const number = blocks.length
    const { hash: parent, time } = blocks.at(-1)?.block ?? { hash: zeroHash, time: 1_000 - seconds }
    const hash = keccak256(toHex(`${number}:${forks}:${parent}`))
    const block = { number, hash, time: time + seconds, baseFee: settings.baseFee }
    const entry: ModelBlock = { block, receipts: [] }
    blocks.push(entry)
    for (const transaction of included) entry.receipts.push(execute(transaction))
  }

  function execute(transaction: Transaction): Receipt {
    const receipt: Receipt = { transaction, succeeded: true, failed: [], accepted: [] }
    if (transaction.to !== coordinator || transaction.isForeign) return receipt
    const keys = keysOf(transaction.data)
    const isBatch = keysOf(transaction.data).length > 0 && isBatchData(transaction.data)
    for (const [place, key] of keys.entries()) {
      const isTaken = accepted().includes(key) || receipt.accepted.includes(key)
      if (!isTaken) receipt.accepted.push(key)
      else if (isBatch) receipt.failed.push(place)
      else receipt.succeeded = false
    }
    return receipt
  }

  const chain: ModelChain = {
    coordinator,
    settings,
    head,
    hashAt: number => blocks[number]?.block.hash,
    accepted,
    mine({ withhold = false, seconds = secondsPerBlock } = {}) {
      const accounts = withhold ? [] : [...new Set([...waiting.values()].map(({ from }) => from))]
      append(accounts.toSorted().flatMap(takeNext), seconds)
    },
    reorg(depth, { lose }) {
      forks += 1
      const undone = blocks.splice(Math.max(1, blocks.length - depth))
      for (const { transaction } of undone.flatMap(({ receipts: all }) => all)) {
        const again = transaction.isForeign ? transaction.before : transaction
        if (!lose && again) waiting.set(placeOf(again), again)
      }
      for (let index = 0; index <= undone.length; index++) append([])
    },
    intrude(account) {
      const foreign: Transaction = {
        hash: keccak256(toHex(`foreign ${account} ${blocks.length} ${forks}`)),
        from: account.toLowerCase() as Address,
        nonce: nonceOf(account),
        maxFee: 10n ** 12n,
        gas: 21_000n,
        to: coordinator,
        data: '0x',
        isForeign: true,
        before: undefined,
      }
      foreign.before = waiting.get(placeOf(foreign))
      waiting.delete(placeOf(foreign))
      append([foreign])
    },
    forget: () => waiting.clear(),
    rpc: {
      send: answerAll,
      sendToAll: async calls => [await answerAll(calls)],
      noteHead() {},
      status: () => [],
    },
  }
  append([])
  return chain

  /** What an account has waiting, from its next nonce on, that pays enough. */
  function takeNext(from: Address): Transaction[] {
    const taken: Transaction[] = []
    for (let nonce = nonceOf(from); ; nonce++) {
      const transaction = waiting.get(placeOf({ from, nonce }))
      if (!transaction || transaction.maxFee < settings.baseFee) return taken
      waiting.delete(placeOf(transaction))
      taken.push(transaction)
    }
  }

  async function answerAll(calls: readonly RpcCall[]): Promise<RpcAnswer[]> {
    const answers: RpcAnswer[] = []
    for (const call of calls) answers.push(await answer(call))
    return answers
  }

  async function answer({ method, params }: RpcCall): Promise<RpcAnswer> {
    if (method === 'eth_getTransactionCount') return { result: numberToHex(nonceOf(params[0] as Address)) }
    if (method === 'eth_getBalance') return { result: numberToHex(settings.balance) }
    if (method === 'eth_maxPriorityFeePerGas') return { result: numberToHex(1_000_000n) }
    if (method === 'eth_estimateGas') return estimate(params[0] as { to?: Address; data: Hex })
    if (method === 'eth_sendRawTransaction') return await take(params[0] as Hex)
    if (method === 'eth_getTransactionReceipt') return { result: receiptOf(params[0] as Hex) }
    if (method === 'eth_getBlockByNumber') return { result: toldBlock(Number(params[0])) }
    if (method === 'eth_call') return { result: told((params[0] as { data: Hex }).data) }
    throw new Error(`The model has no ${method}`)
  }

  function estimate({ to, data }: { to?: Address; data: Hex }): RpcAnswer {
    // What is to be created tells the time.
    if (to === undefined) return revert(numberToHex(head().time, { size: 32 }))
    const isTaken = keysOf(data).some(key => accepted().includes(key))
    if (!isTaken) return { result: numberToHex(deliveryGas) }
    return revert(encodeErrorResult({ abi: eip712CoordinatorAbi, errorName: 'IntervalCompleted' }))
  }

  function revert(data: Hex): RpcAnswer {
    return { error: { code: 3, message: 'execution reverted', data } }
  }

  function told(data: Hex): Hex {
    const { functionName, args } = decodeFunctionData({ abi: eip712CoordinatorAbi, data })
    if (functionName === 'getSubscription') return stored()
    if (functionName === 'redundancyCount')
      return numberToHex(accepted().filter(key => intervalKey(key) === args[0]).length, { size: 32 })
    // Of the node it is not told apart who has answered.
    if (functionName === 'nodeResponded') return zeroHash
    throw new Error(`The model has no ${functionName}`)
  }

  async function take(raw: Hex): Promise<RpcAnswer> {
    if (settings.refusesSends) return { error: { code: -32_000, message: 'txpool is full' } }
    if (settings.refusesOne) {
      settings.refusesOne = false
      return { error: { code: -32_000, message: 'txpool is full' } }
    }
    const { nonce = 0, maxFeePerGas = 0n, gas = 0n, to, data = '0x' } = parseTransaction(raw)
    const signed = { serializedTransaction: raw as TransactionSerialized }
    const from = (await recoverTransactionAddress(signed)).toLowerCase() as Address
    const hash = keccak256(raw)
    const place = placeOf({ from, nonce })
    const before = waiting.get(place)
    if (gas * maxFeePerGas > settings.feeCap)
      return {
        error: { code: -32_000, message: 'tx fee (1.07 ether) exceeds the configured cap (1.00 ether)' },
      }
    if (nonce < nonceOf(from)) return { error: { code: -32_000, message: 'nonce too low' } }
    if (before?.hash === hash) return { error: { code: -32_000, message: 'already known' } }
    if (before && maxFeePerGas * 1000n < before.maxFee * 1125n)
      return { error: { code: -32_000, message: 'replacement transaction underpriced' } }
    if (settings.balance < gas * maxFeePerGas)
      return { error: { code: -32_000, message: 'insufficient funds for gas * price + value' } }
    waiting.set(place, {
      hash,
      from,
      nonce,
      maxFee: maxFeePerGas,
      gas,
      to: to!.toLowerCase() as Address,
      data,
      isForeign: false,
      before: undefined,
    })
    return { result: hash }
  }

  function receiptOf(hash: Hex) {
    for (const { block, receipts: all } of blocks) {
      const receipt = all.find(({ transaction }) => transaction.hash === hash)
      if (receipt) return toldReceipt(receipt, block)
    }
    return null
  }

  function toldBlock(number: number) {
    const found = blocks[number]?.block
    if (!found) return null
    const { hash, time, baseFee } = found
    return {
      number: numberToHex(number),
      hash,
      timestamp: numberToHex(time),
      baseFeePerGas: numberToHex(baseFee ?? 0n),
    }
  }
}

function placeOf({ from, nonce }: Pick<Transaction, 'from' | 'nonce'>): string {
  return `${from}/${nonce}`
}

function toldReceipt({ transaction, succeeded, failed }: Receipt, { number, hash }: Block) {
  return {
    transactionHash: transaction.hash,
    from: signer.address,
    to: transaction.to,
    blockNumber: numberToHex(number),
    blockHash: hash,
    status: succeeded ? '0x1' : '0x0',
    gasUsed: numberToHex(deliveryGas),
    effectiveGasPrice: numberToHex(transaction.maxFee),
    // One that fails leaves nothing but the batch's word for it.
    logs: succeeded
      ? keysOf(transaction.data)
          .filter((_, place) => !failed.includes(place))
          .map(accepted)
      : [],
  }
}

function accepted(key: string) {
  const [id = 0, interval = 0] = key.split('/').map(Number)
  return {
    address: coordinator,
    topics: encodeEventTopics({ abi: eip712CoordinatorAbi, eventName: 'AnswerAccepted', args: { id } }),
    data: encodeAbiParameters(
      [{ type: 'uint32' }, { type: 'uint16' }, { type: 'bytes32' }],
      [interval, 1, zeroHash],
    ),
  }
}

/** What the coordinator has under each id: a subscription of somebody's. */
export const subscriptionThere = {
  owner: '0x00000000000000000000000000000000000000bb',
  activeAt: 1,
  period: 0,
  frequency: 1,
  redundancy: 1,
  containerId: zeroHash,
  lazy: false,
  verifier: '0x00000000000000000000000000000000000000ff',
  paymentAmount: 700n,
  paymentToken: zeroAddress,
  wallet: zeroAddress,
} as const

function stored(): Hex {
  const result = subscriptionThere
  return encodeFunctionResult({ abi: eip712CoordinatorAbi, functionName: 'getSubscription', result })
}

/** What the coordinator has an interval's answers under. */
function intervalKey(key: string): Hex {
  const [id = 0, interval = 0] = key.split('/').map(Number)
  return keccak256(encodeAbiParameters([{ type: 'uint32' }, { type: 'uint32' }], [id, interval]))
}

function isBatchData(data: Hex): boolean {
  return decodeFunctionData({ abi: eip712CoordinatorAbi, data }).functionName === 'deliverComputeBatch'
}

/** The answers that a transaction carries, in order. */
export function keysOf(data: Hex): string[] {
  if (data === '0x') return []
  const call = decodeFunctionData({ abi: eip712CoordinatorAbi, data })
  if (call.functionName === 'deliverComputeBatch')
    return call.args[0].flatMap(({ data: inner }) => keysOf(inner))
  if (call.functionName !== 'deliverCompute') throw new Error(`The model has no ${call.functionName}`)
  return [`${call.args[0]}/${call.args[1]}`]
}
