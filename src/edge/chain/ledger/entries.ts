import { type Address, type Hex, zeroAddress } from 'viem'
import type { MinedAnswer } from '../guard/record.ts'
import { shares } from '../guard/share.ts'
import type { Move } from '../outbox/moves.ts'
import { noSums, type Parties, type Sums, sumsOf } from './sums.ts'

export type LedgerKind = 'answer' | 'rejected' | 'failed' | 'verdict' | 'expense'

/** A row of the books, but for when it was. */
export type Entry = Sums & {
  kind: LedgerKind
  subscription: number | null
  interval: number | null
  /** Empty: of none. */
  consumer: string
  token: Address
  gasUsed: number
  /** Wei. */
  gasCost: bigint
}

/** An answer that a transaction carried. `key`: by `keyOf`, what the coordinator names it by. `parties` null: it is not known any more. */
export type CarriedAnswer = {
  subscription: number
  interval: number
  key: string
  outcome: MinedAnswer['outcome']
  /** By its terms. Of one that is not, nobody has looked whose wallet it names: whatever that says was not moved by the coordinator. */
  isPaid: boolean
  /** That it takes by itself, as it was estimated: what it bears of the whole goes by it. null: it was not. */
  gas: number | null
  parties: Parties | null
}

export type Costs = { gasUsed: number; gasCost: bigint }

/**
 * What is booked for a transaction that was mined: each answer with what it moved and its part of the gas; what carried none by itself. The parts
 * make up the whole.
 */
export function entriesOf(
  { moves, ...costs }: { moves: readonly Move[] } & Costs,
  carried: readonly CarriedAnswer[],
): Entry[] {
  if (carried.length === 0) return [expense(costs)]
  const parts = partsOf(costs, carried)
  return carried.map((answer, index) => {
    const { subscription, interval, key, outcome, isPaid, parties } = answer
    const paid = isPaid && outcome !== 'failed' && parties !== null
    return {
      kind: outcome === 'delivered' ? 'answer' : outcome,
      subscription,
      interval,
      consumer: parties?.owner ?? '',
      token: paid ? parties.token : zeroAddress,
      ...(paid ? sumsOf(movesOf(moves, key), parties) : noSums),
      ...(parts[index] ?? noCosts),
    }
  })
}

function expense(costs: Costs): Entry {
  const nobody = { subscription: null, interval: null, consumer: '', token: zeroAddress }
  return { kind: 'expense', ...nobody, ...noSums, ...costs }
}

/** What moved when a proof was judged, or its time was over, after its answer was mined. Its gas is whose transaction it was. */
export function verdictEntry(
  moves: readonly Move[],
  {
    subscription,
    interval,
    key,
    node,
    parties,
  }: Omit<CarriedAnswer, 'outcome' | 'isPaid' | 'gas' | 'parties'> & { node: Address; parties: Parties },
): Entry {
  // A refusal is told before the settlement. Others may have answered the same, and be judged in the same transaction.
  const end = moves.findIndex(move => isOfCoordinator(move) && move.key === key && move.node === node)
  const { owner: consumer, token } = parties
  const sums = sumsOf(moves.slice(beginOf(moves, { end, node }), Math.max(end, 0)), parties)
  return { kind: 'verdict', subscription, interval, consumer, token, ...sums, gasUsed: 0, gasCost: 0n }
}

function isOfCoordinator(move: Move): move is Extract<Move, { key: string }> {
  return move.kind === 'judged' || move.kind === 'settled'
}

/**
 * Where the money of a proof begins to move that ends at `end`: what its node had at stake is let go first. What a consumer that is the node has
 * escrowed follows.
 */
function beginOf(moves: readonly Move[], { end, node }: { end: number; node: Address }): number {
  const before = moves.findLastIndex((move, index) => index < end && isOfCoordinator(move))
  const unlocked = moves.findIndex(
    (move, index) => index > before && index < end && move.kind === 'unlocked' && move.spender === node,
  )
  return unlocked === -1 ? before + 1 : unlocked
}

/** Between the verdict on the answer before it and its own. The first coordinators tell no verdicts, and take one answer in a transaction. */
function movesOf(moves: readonly Move[], key: string): readonly Move[] {
  const end = moves.findIndex(move => move.kind === 'judged' && move.key === key)
  if (end === -1) return withoutOthers(moves, key)
  const begin = moves.findLastIndex((move, index) => index < end && move.kind === 'judged')
  return moves.slice(begin + 1, end)
}

/** Who is called while an answer is taken may have proofs of other answers judged, whose money has entries of its own. */
function withoutOthers(moves: readonly Move[], key: string): readonly Move[] {
  const others = moves.flatMap((move, end) =>
    move.kind === 'settled' && move.key !== key
      ? [{ begin: beginOf(moves, { end, node: move.node }), end }]
      : [],
  )
  return moves.filter((_, index) => !others.some(({ begin, end }) => begin <= index && index <= end))
}

const noCosts: Costs = { gasUsed: 0, gasCost: 0n }

/** Wei go as the gas goes; what is left over is the first one's. */
function partsOf({ gasUsed, gasCost }: Costs, carried: readonly CarriedAnswer[]): Costs[] {
  const gases = shares(
    gasUsed,
    carried.map(({ gas }) => gas ?? 0),
  )
  const costs = gases.map(gas => (gasUsed === 0 ? 0n : (gasCost * BigInt(gas)) / BigInt(gasUsed)))
  const rest = gasCost - costs.reduce((sum, cost) => sum + cost, 0n)
  return gases.map((gas, index) => ({
    gasUsed: gas,
    gasCost: (costs[index] ?? 0n) + (index === 0 ? rest : 0n),
  }))
}

/** When and where a transaction was mined. `at`: unix seconds of block time. */
export type Mined = { hash: Hex; block: number; at: number }
