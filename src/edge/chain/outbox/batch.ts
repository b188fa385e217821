import {
  type Address,
  decodeFunctionData,
  encodeFunctionData,
  getAbiItem,
  type Hex,
  toFunctionSelector,
  zeroAddress,
} from 'viem'
import { eip712CoordinatorAbi } from '../../../protocol/abi/eip712-coordinator.ts'
import type { OnchainSubscription } from '../../../protocol/delegation.ts'

/** A call of a batch. `data`: call data of `deliverCompute`, or `deliverComputeBounded`. */
export type BatchCall = { gasLimit: number; data: Hex }

/** Call data of `deliverComputeBatch`. */
export function batchCall(calls: readonly BatchCall[]): Hex {
  return encodeFunctionData({
    abi: eip712CoordinatorAbi,
    functionName: 'deliverComputeBatch',
    args: [[...calls]],
  })
}

/** Names an answer, in text. */
export function keyOf({ subscription, interval }: { subscription: number; interval: number }): string {
  return `${subscription}/${interval}`
}

/** A batch with fewer answers; null: none is left, or it is no batch. `keep`: by `keyOf`. */
export function narrowed(data: Hex, keep: ReadonlySet<string>): Hex | null {
  const left = (readBatch(data) ?? []).filter(call => keep.has(answerOf(call.data)))
  return left.length === 0 ? null : batchCall(left)
}

/** Whether a batch takes it: the coordinator's has answers alone, and not what creates a subscription. */
export function isBatchable(call: Hex): boolean {
  return selectors.some(selector => call.startsWith(selector))
}

const selectors = (['deliverCompute', 'deliverComputeBounded'] as const).map(name =>
  toFunctionSelector(getAbiItem({ abi: eip712CoordinatorAbi, name })),
)

/** What an answer's call data would create, unless its nonce has; null: nothing. */
export function creation(data: Hex): { nonce: number; subscription: OnchainSubscription } | null {
  const call = read(data)
  return call?.functionName === 'deliverComputeDelegatee'
    ? { nonce: call.args[0], subscription: call.args[2] }
    : null
}

function readBatch(data: Hex): readonly BatchCall[] | null {
  const call = read(data)
  return call?.functionName === 'deliverComputeBatch' ? call.args[0] : null
}

function answerOf(data: Hex): string {
  const call = read(data)
  if (call?.functionName === 'deliverComputeBounded') {
    const [{ subscriptionId, interval }] = call.args
    return keyOf({ subscription: subscriptionId, interval })
  }
  if (call?.functionName !== 'deliverCompute') return ''
  const [subscription, interval] = call.args
  return keyOf({ subscription, interval })
}

/** What an answer's call data says that it answers; `subscription` null: what it creates. null: it is none. */
export function answered(data: Hex): { subscription: number | null; interval: number } | null {
  const call = read(data)
  if (call?.functionName === 'deliverCompute') return { subscription: call.args[0], interval: call.args[1] }
  if (call?.functionName === 'deliverComputeBounded') {
    const [{ subscriptionId, interval }] = call.args
    return { subscription: subscriptionId, interval }
  }
  return call?.functionName === 'deliverComputeDelegatee'
    ? { subscription: null, interval: call.args[6] }
    : null
}

/** `creates`: what it would create; null: nothing, and then it says what it answers. */
export type Answering = {
  subscription: number | null
  interval: number
  data: Hex
  creates: { owner: Address; nonce: number } | null
}

/** The answers that call data of the coordinator's has: an answer's own, or a batch's. */
export function answersIn(data: Hex): Answering[] {
  const calls = readBatch(data)?.map(call => call.data) ?? [data]
  return calls.flatMap(own => {
    const key = answered(own)
    const created = creation(own)
    const creates = created && { owner: created.subscription.owner, nonce: created.nonce }
    return key === null ? [] : [{ ...key, data: own, creates }]
  })
}

/** The node's wallet that an answer names, in lower case. `data`: its call data, or a batch's that has it. `key`: by `keyOf`. null: none is there. */
export function namedWallet(data: Hex, key: string): Address | null {
  const call = read(data)
  if (call?.functionName === 'deliverComputeBatch') {
    const own = call.args[0].find(each => answerOf(each.data) === key)
    return own === undefined ? null : namedWallet(own.data, key)
  }
  const named =
    call?.functionName === 'deliverCompute'
      ? call.args[5]
      : call?.functionName === 'deliverComputeBounded'
        ? call.args[0].nodeWallet
        : call?.functionName === 'deliverComputeDelegatee'
          ? call.args[10]
          : zeroAddress
  return named === zeroAddress ? null : (named.toLowerCase() as Address)
}

/** What we encoded ourselves; null: nothing, as of a transfer. */
function read(data: Hex) {
  return data === '0x' ? null : decodeFunctionData({ abi: eip712CoordinatorAbi, data })
}
