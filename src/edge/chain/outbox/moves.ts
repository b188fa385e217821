import { type Address, erc20Abi, type Hex, parseEventLogs } from 'viem'
import { eip712CoordinatorAbi } from '../../../protocol/abi/eip712-coordinator.ts'
import { walletAbi } from '../../../protocol/abi/wallet.ts'
import { keyOf } from './batch.ts'

/**
 * What a transaction's logs say of money, in their order. `paid`: a wallet says that it has sent something, in a spender's name. `owed`: a wallet
 * says that a token has not let something through, which it owes. `arrived`: a token says what has moved. `judged`: the coordinator has taken an
 * answer, or refused its proof, named by `keyOf`. `settled`: what was at stake for a proof has moved. `node`: whose answer it is, where that is
 * told. `unlocked`: a wallet says that something is not at stake any more, of whom in its spender's name: of a node, as the money of its proof
 * begins to move. Anybody can say what wallets and tokens say: the first three count from one that is known. Addresses in lower case, amounts in
 * base units.
 */
export type Move =
  | { kind: 'paid'; wallet: Address; spender: Address; token: Address; to: Address; amount: bigint }
  | { kind: 'owed'; wallet: Address; token: Address; to: Address; amount: bigint }
  | { kind: 'arrived'; token: Address; from: Address; to: Address; amount: bigint }
  | { kind: 'judged'; key: string; accepted: boolean; node: Address | null }
  | { kind: 'settled'; key: string; node: Address }
  | { kind: 'unlocked'; spender: Address }

export type TransactionLog = { address: Hex; topics: readonly Hex[]; data: Hex }

const lower = (address: Address) => address.toLowerCase() as Address

/** Each log is read by itself: one that is none of these is left out, and so is one that only looks like it. */
export function readMoves(logs: readonly TransactionLog[], coordinator: Address): Move[] {
  return logs.flatMap(
    log =>
      judgedOf(log, coordinator) ?? paidOf(log) ?? owedOf(log) ?? unlockedOf(log) ?? arrivedOf(log) ?? [],
  )
}

function judgedOf(log: TransactionLog, coordinator: Address): Move | null {
  if (lower(log.address) !== coordinator) return null
  const eventName = ['AnswerAccepted', 'AnswerRejected', 'ProofVerified'] as const
  const [event] = parseEventLogs({
    abi: eip712CoordinatorAbi,
    eventName: [...eventName],
    logs: [log] as never,
  })
  if (!event) return null
  const { id, interval } = event.args
  const key = keyOf({ subscription: id, interval })
  if (event.eventName === 'AnswerAccepted') return { kind: 'judged', key, accepted: true, node: null }
  const node = lower(event.args.node)
  return event.eventName === 'ProofVerified'
    ? { kind: 'settled', key, node }
    : { kind: 'judged', key, accepted: false, node }
}

function paidOf(log: TransactionLog): Move | null {
  const [event] = parseEventLogs({ abi: walletAbi, eventName: 'Transfer', logs: [log] as never })
  if (!event) return null
  const { spender, token, to, amount } = event.args
  return {
    kind: 'paid',
    wallet: lower(log.address),
    spender: lower(spender),
    token: lower(token),
    to: lower(to),
    amount,
  }
}

function owedOf(log: TransactionLog): Move | null {
  const [event] = parseEventLogs({ abi: walletAbi, eventName: 'Owed', logs: [log] as never })
  if (!event) return null
  const { to, token, amount } = event.args
  return { kind: 'owed', wallet: lower(log.address), token: lower(token), to: lower(to), amount }
}

function unlockedOf(log: TransactionLog): Move | null {
  const [event] = parseEventLogs({ abi: walletAbi, eventName: 'Escrow', logs: [log] as never })
  if (!event || event.args.locked) return null
  return { kind: 'unlocked', spender: lower(event.args.spender) }
}

function arrivedOf(log: TransactionLog): Move | null {
  const [event] = parseEventLogs({ abi: erc20Abi, eventName: 'Transfer', logs: [log] as never })
  if (!event) return null
  const { from, to, value } = event.args
  return { kind: 'arrived', token: lower(log.address), from: lower(from), to: lower(to), amount: value }
}
