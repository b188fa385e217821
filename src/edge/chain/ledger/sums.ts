import type { Address } from 'viem'
import type { Move } from '../outbox/moves.ts'

/** Whose money it is about. Addresses in lower case. */
export type Parties = {
  /** The consumer: payments are made in its name, from its wallet. */
  owner: Address
  wallet: Address
  token: Address
  /** Where the node is paid, and its stake lies. */
  nodeWallet: Address
  /** Who gets the protocol's fee; none: it is not known. */
  feeRecipients: readonly Address[]
  /** Somebody judges proofs, and is paid for it. */
  hasVerifier: boolean
}

/**
 * Base units of the token. `owed`: earned beside the payment, and not sent, since the token refused: the consumer's wallet owes it to the node's.
 * `owing`: lost beside what was slashed, likewise: the node's wallet owes it to the consumer's.
 */
export type Sums = {
  payment: bigint
  slashed: bigint
  owed: bigint
  owing: bigint
  protocolFee: bigint
  verifierFee: bigint
}

export const noSums: Sums = {
  payment: 0n,
  slashed: 0n,
  owed: 0n,
  owing: 0n,
  protocolFee: 0n,
  verifierFee: 0n,
}

type Paid = Extract<Move, { kind: 'paid' }>
type Arrived = Extract<Move, { kind: 'arrived' }>

/** What an answer moved. `moves`: those that were made for it, and no others. */
export function sumsOf(moves: readonly Move[], parties: Parties): Sums {
  const { wallet, token, nodeWallet, feeRecipients, hasVerifier } = parties
  const between = (kind: 'paid' | 'owed', from: Address, to: Address) =>
    totalOf(
      moves.flatMap(move =>
        move.kind === kind && move.token === token && move.wallet === from && move.to === to ? [move] : [],
      ),
    )
  const received = receivedOf(moves, parties)
  const others = received.filter(({ to }) => to !== nodeWallet)
  const isOfProtocol = ({ to }: { to: Address }) => !hasVerifier || feeRecipients.includes(to)
  return {
    payment: totalOf(received.filter(({ to }) => to === nodeWallet)),
    slashed: between('paid', nodeWallet, wallet),
    owed: between('owed', wallet, nodeWallet),
    owing: between('owed', nodeWallet, wallet),
    protocolFee: totalOf(others.filter(isOfProtocol)),
    verifierFee: totalOf(others.filter(one => !isOfProtocol(one))),
  }
}

function totalOf(all: readonly { amount: bigint }[]): bigint {
  return all.reduce((total, { amount }) => total + amount, 0n)
}

/** Who has got what of the consumer's payments. */
function receivedOf(moves: readonly Move[], parties: Parties): { to: Address; amount: bigint }[] {
  const paid = moves.filter((move): move is Paid => isPayment(move, parties) && move.token === parties.token)
  const arrived = arrivedWith(moves, parties)
  return [...new Set(paid.map(({ to }) => to))].map(to => {
    const most = totalOf(paid.filter(move => move.to === to))
    return { to, amount: within(most, amountAt(to, arrived, parties) ?? most) }
  })
}

/** A token may say anything, and its contract is the consumer's to choose: what the wallet has paid bounds what can have come of it. */
function within(most: bigint, amount: bigint): bigint {
  if (amount < 0n) return 0n
  return amount > most ? most : amount
}

function isPayment(move: Move, { owner, wallet }: Parties): move is Paid {
  return move.kind === 'paid' && move.wallet === wallet && move.spender === owner
}

/** What the token says of the consumer's payments, each of which follows that. Somebody may claim an old debt meanwhile: no payment follows. */
function arrivedWith(moves: readonly Move[], parties: Parties): Arrived[] {
  const arrived: Arrived[] = []
  let own: Arrived[] = []
  for (const move of moves) {
    if (move.kind === 'arrived' && move.token === parties.token) own.push(move)
    else if (move.kind === 'unlocked') own = []
    else if (isPayment(move, parties)) arrived.push(...own.splice(0))
  }
  return arrived
}

/** A token may take something off what it moves, on the way or from who gets it. null: it says nothing. */
function amountAt(to: Address, moves: readonly Arrived[], { wallet }: Parties): bigint | null {
  if (to === wallet) return null
  let arrived: bigint | null = null
  for (const move of moves) {
    if (move.from === wallet && move.to === to) arrived = (arrived ?? 0n) + move.amount
    // What goes back to the consumer's wallet is a stake.
    else if (move.from === to && move.to !== wallet && arrived !== null) arrived -= move.amount
  }
  return arrived
}
