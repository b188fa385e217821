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
  /** null: not known. */
  feeRecipient: Address | null
  /** Somebody judges proofs, and is paid for it. */
  hasVerifier: boolean
}

/** Base units of the token. */
export type Sums = { payment: bigint; slashed: bigint; protocolFee: bigint; verifierFee: bigint }

export const noSums: Sums = { payment: 0n, slashed: 0n, protocolFee: 0n, verifierFee: 0n }

/** What an answer moved. `moves`: those that were made for it, and no others. */
export function sumsOf(moves: readonly Move[], parties: Parties): Sums {
  const { owner, wallet, token, nodeWallet, feeRecipient, hasVerifier } = parties
  const sums = { ...noSums }
  const judges = new Map<Address, bigint>()
  for (const move of moves) {
    if (move.kind !== 'paid' || move.token !== token) continue
    if (move.wallet === nodeWallet && move.to === wallet) sums.slashed += move.amount
    if (move.wallet !== wallet || move.spender !== owner) continue
    if (move.to === nodeWallet) sums.payment += move.amount
    else if (hasVerifier && move.to !== feeRecipient)
      judges.set(move.to, amountOf(judges, move.to) + move.amount)
    else sums.protocolFee += move.amount
  }
  const arrived = (to: Address | null, told: bigint) => arrivedAt(to, moves, parties) ?? told
  return {
    payment: arrived(nodeWallet, sums.payment),
    slashed: sums.slashed,
    // Who is both is paid.
    protocolFee: feeRecipient === nodeWallet ? sums.protocolFee : arrived(feeRecipient, sums.protocolFee),
    verifierFee: [...judges].reduce((sum, [judge, told]) => sum + arrived(judge, told), 0n),
  }
}

function amountOf(amounts: ReadonlyMap<Address, bigint>, to: Address): bigint {
  return amounts.get(to) ?? 0n
}

/** A token may take something off what it moves, on the way or from who gets it. null: it says nothing. */
function arrivedAt(to: Address | null, moves: readonly Move[], { wallet, token }: Parties): bigint | null {
  if (to === wallet) return null
  let arrived: bigint | null = null
  for (const move of moves) {
    if (move.kind !== 'arrived' || move.token !== token) continue
    if (move.from === wallet && move.to === to) arrived = (arrived ?? 0n) + move.amount
    // What goes back to the consumer's wallet is a stake.
    else if (move.from === to && move.to !== wallet && arrived !== null) arrived -= move.amount
  }
  return arrived
}
