import {
  type Address,
  decodeFunctionData,
  encodeAbiParameters,
  encodeErrorResult,
  encodeEventTopics,
  type Hex,
  keccak256,
  numberToHex,
  parseTransaction,
  toHex,
  zeroHash,
} from 'viem'
import type { Block } from '../../../../src/edge/chain/chain.ts'
import type { Rpc, RpcAnswer, RpcCall } from '../../../../src/edge/chain/rpc.ts'
import { eip712CoordinatorAbi } from '../../../../src/protocol/abi/eip712-coordinator.ts'

/** A chain in plain data, with one account and a coordinator that takes one answer for each interval. */
export type ModelChain = {
  rpc: Rpc
  coordinator: Address
  head(): Block
  hashAt(number: number): Hex | undefined
  /** Takes what waits, by nonce, into one block. `withhold`: it is left out, as when others pay more. */
  mine(options?: { withhold?: boolean }): void
  /** Undoes blocks, and makes one more than were undone, so that the branch is the longer one. `lose`: what was in them is forgotten. */
  reorg(depth: number, options: { lose: boolean }): void
  /** The account's key is used elsewhere too: its next nonce is taken. */
  intrude(): void
  /** Endpoints forget what waits. */
  forget(): void
  /** Answers accepted, as 'subscription/interval', on the branch that is. */
  accepted(): string[]
  settings: { baseFee: bigint; balance: bigint; refusesSends: boolean; refusesOne: boolean }
}

type Transaction = {
  hash: Hex
  nonce: number
  maxFee: bigint
  gas: bigint
  to: Address
  data: Hex
  isForeign: boolean
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
  const waiting = new Map<number, Transaction>()
  const settings = { baseFee: 1_000_000_000n, balance: 10n ** 18n, refusesSends: false, refusesOne: false }
  const head = () => blocks.at(-1)!.block
  const receipts = () => blocks.flatMap(({ receipts: all }) => all)
  const nonce = () => receipts().length
  const accepted = () => receipts().flatMap(receipt => receipt.accepted)

  function append(included: readonly Transaction[]): void {
    const number = blocks.length
    const parent = blocks.at(-1)?.block.hash ?? numberToHex(0, { size: 32 })
    const hash = keccak256(toHex(`${number}:${forks}:${parent}`))
    const block = { number, hash, time: 1_000 + number * secondsPerBlock, baseFee: settings.baseFee }
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
    mine({ withhold = false } = {}) {
      const included: Transaction[] = []
      for (let next = nonce(); !withhold; next++) {
        const transaction = waiting.get(next)
        if (!transaction || transaction.maxFee < settings.baseFee) break
        waiting.delete(next)
        included.push(transaction)
      }
      append(included)
    },
    reorg(depth, { lose }) {
      forks += 1
      const undone = blocks.splice(Math.max(1, blocks.length - depth))
      for (const { transaction } of undone.flatMap(({ receipts: all }) => all)) {
        if (!lose && !transaction.isForeign) waiting.set(transaction.nonce, transaction)
      }
      for (let index = 0; index <= undone.length; index++) append([])
    },
    intrude() {
      const foreign = {
        hash: keccak256(toHex(`foreign ${blocks.length} ${forks}`)),
        maxFee: 10n ** 12n,
        gas: 21_000n,
      }
      waiting.delete(nonce())
      append([{ ...foreign, nonce: nonce(), to: coordinator, data: '0x', isForeign: true }])
    },
    forget: () => waiting.clear(),
    rpc: {
      send: async calls => calls.map(answer),
      sendToAll: async calls => [calls.map(answer)],
      noteHead() {},
      status: () => [],
    },
  }
  append([])
  return chain

  function answer({ method, params }: RpcCall): RpcAnswer {
    if (method === 'eth_getTransactionCount') return { result: numberToHex(nonce()) }
    if (method === 'eth_getBalance') return { result: numberToHex(settings.balance) }
    if (method === 'eth_maxPriorityFeePerGas') return { result: numberToHex(1_000_000n) }
    if (method === 'eth_estimateGas') return estimate((params[0] as { data: Hex }).data)
    if (method === 'eth_sendRawTransaction') return take(params[0] as Hex)
    if (method === 'eth_getTransactionReceipt') return { result: receiptOf(params[0] as Hex) }
    if (method === 'eth_getBlockByNumber') return { result: toldBlock(Number(params[0])) }
    throw new Error(`The model has no ${method}`)
  }

  function estimate(data: Hex): RpcAnswer {
    const isTaken = keysOf(data).some(key => accepted().includes(key))
    if (!isTaken) return { result: numberToHex(deliveryGas) }
    const reason = encodeErrorResult({ abi: eip712CoordinatorAbi, errorName: 'NodeRespondedAlready' })
    return { error: { code: 3, message: 'execution reverted', data: reason } }
  }

  function take(raw: Hex): RpcAnswer {
    if (settings.refusesSends) return { error: { code: -32_000, message: 'txpool is full' } }
    if (settings.refusesOne) {
      settings.refusesOne = false
      return { error: { code: -32_000, message: 'txpool is full' } }
    }
    const { nonce: own = 0, maxFeePerGas = 0n, gas = 0n, to, data = '0x' } = parseTransaction(raw)
    const hash = keccak256(raw)
    const before = waiting.get(own)
    if (own < nonce()) return { error: { code: -32_000, message: 'nonce too low' } }
    if (before?.hash === hash) return { error: { code: -32_000, message: 'already known' } }
    if (before && maxFeePerGas * 1000n < before.maxFee * 1125n)
      return { error: { code: -32_000, message: 'replacement transaction underpriced' } }
    if (settings.balance < gas * maxFeePerGas)
      return { error: { code: -32_000, message: 'insufficient funds for gas * price + value' } }
    waiting.set(own, {
      hash,
      nonce: own,
      maxFee: maxFeePerGas,
      gas,
      to: to!.toLowerCase() as Address,
      data,
      isForeign: false,
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

function toldReceipt({ transaction, succeeded, failed }: Receipt, { number, hash }: Block) {
  return {
    transactionHash: transaction.hash,
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
