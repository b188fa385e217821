import * as v from 'valibot'
import { type Address, type Hex, isHex, parseEventLogs } from 'viem'
import { eip712CoordinatorAbi } from '../../../protocol/abi/eip712-coordinator.ts'
import { type Verdict, verdictsOf } from '../proofs/verdict.ts'
import type { RpcAnswer } from '../rpc.ts'
import { keyOf } from './batch.ts'
import { type Move, readMoves } from './moves.ts'

/**
 * What a mined transaction did. `judged`: the answers that the coordinator has accepted, or rejected for their proofs, by `keyOf`: what no
 * consumer that is called meanwhile can say in its name. `gasPrice`: wei for a unit. `cost`: wei, with what a rollup takes for the chain below it.
 */
export type Receipt = {
  hash: Hex
  to: Address | null
  block: number
  blockHash: Hex
  succeeded: boolean
  gasUsed: number
  gasPrice: bigint
  cost: bigint
  judged: ReadonlySet<string>
  /** Subscriptions that were answered by whoever sent it, also where the proof was rejected at once. */
  fulfilled: readonly number[]
  moves: readonly Move[]
  /** Subscriptions that it created, or that were created meanwhile. */
  created: readonly number[]
  /** On proofs. */
  verdicts: readonly Verdict[]
}

const Quantity = v.pipe(
  v.custom<Hex>(value => isHex(value) && value !== '0x'),
  v.transform(value => BigInt(value)),
)
const Bytes = v.custom<Hex>(value => isHex(value))
/** In lower case, as hashes are compared everywhere. */
const Hash = v.pipe(
  Bytes,
  v.transform(value => value.toLowerCase() as Hex),
)
const Log = v.object({ address: Bytes, topics: v.array(Bytes), data: Bytes })
const Told = v.object({
  transactionHash: Hash,
  from: Hash,
  to: v.nullable(Hash),
  blockNumber: Quantity,
  blockHash: Hash,
  status: Quantity,
  gasUsed: Quantity,
  effectiveGasPrice: v.optional(Quantity),
  l1Fee: v.fallback(v.optional(Quantity), undefined),
  logs: v.array(Log),
})

/** A receipt as a node tells it; null: there is none, or it is none. `coordinator`: whose events count. */
export function readReceipt(answer: RpcAnswer | undefined, coordinator: Address): Receipt | null {
  const told = v.safeParse(Told, answer?.result)
  if (!told.success) return null
  const {
    transactionHash,
    from,
    to,
    blockNumber,
    blockHash,
    status,
    gasUsed,
    effectiveGasPrice = 0n,
    l1Fee = 0n,
    logs,
  } = told.output
  const own = logs.filter(({ address }) => address.toLowerCase() === coordinator)
  const events = parseEventLogs({
    abi: eip712CoordinatorAbi,
    eventName: ['AnswerAccepted', 'AnswerRejected', 'SubscriptionFulfilled', 'SubscriptionCreated'],
    logs: own as never,
  })
  return {
    hash: transactionHash,
    to,
    block: Number(blockNumber),
    blockHash,
    succeeded: status === 1n,
    gasUsed: Number(gasUsed),
    gasPrice: effectiveGasPrice,
    cost: gasUsed * effectiveGasPrice + l1Fee,
    judged: new Set(
      events.flatMap(({ args }) =>
        'interval' in args ? [keyOf({ subscription: args.id, interval: args.interval })] : [],
      ),
    ),
    fulfilled: events.flatMap(({ eventName, args }) =>
      (eventName === 'SubscriptionFulfilled' || eventName === 'AnswerRejected') &&
      args.node.toLowerCase() === from
        ? [args.id]
        : [],
    ),
    moves: readMoves(logs, coordinator),
    created: events.flatMap(({ eventName, args }) => (eventName === 'SubscriptionCreated' ? [args.id] : [])),
    verdicts: verdictsOf(own),
  }
}
