import * as v from 'valibot'
import { Address, Amount, Seconds } from './chain-fields.ts'

export const ProofState = v.picklist(['pending', 'accepted', 'rejected', 'finalized', 'settled'])
export type ProofState = v.InferOutput<typeof ProofState>

/** What an answer's proof has come to. */
export const ProofView = v.object({
  state: v.pipe(
    ProofState,
    v.description(
      'accepted: the node is paid; rejected: its stake is lost; finalized: no verdict in time; settled: nobody tells how.',
    ),
  ),
  stake: v.pipe(v.nullable(Amount), v.description('Locked in the node’s wallet until then.')),
  payout: v.pipe(v.nullable(Amount), v.description('For the node’s wallet; null: not told.')),
  expires_at: v.pipe(v.nullable(Seconds), v.description('From when on there is no verdict any more.')),
  refunds: v.pipe(v.boolean(), v.description('Without a verdict, the consumer gets the payout back.')),
  problem: v.nullable(v.string()),
  settled: v.nullable(
    v.object({
      by: v.pipe(v.nullable(Address), v.description('Whose call moved the money.')),
      hash: v.nullable(v.string()),
      block: v.number(),
    }),
  ),
})
export type ProofView = v.InferOutput<typeof ProofView>

/** A proof as `GET /api/proofs` shows it. */
export const ProofEntry = v.object({
  subscription: v.number(),
  interval: v.number(),
  verifier: v.nullable(Address),
  token: v.pipe(v.nullable(Address), v.description('Of the stake; the zero address is ETH.')),
  ...ProofView.entries,
  looks: v.pipe(v.number(), v.description('That have found nothing new.')),
  due_at: v.pipe(v.nullable(Seconds), v.description('When it is looked at again.')),
})
export type ProofEntry = v.InferOutput<typeof ProofEntry>

export const ProofPage = v.object({
  chain: v.number(),
  proofs: v.array(ProofEntry),
  next: v.pipe(v.nullable(v.string()), v.description('`after` of the next page.')),
})
export type ProofPage = v.InferOutput<typeof ProofPage>

/** Of a chain, as `GET /info` shows it. */
export const ProofsAtStake = v.object({
  pending: v.pipe(v.number(), v.description('Answers whose proofs wait for a verdict.')),
  at_stake: v.pipe(
    v.array(v.object({ token: Address, amount: Amount })),
    v.description('What is locked for these, in each token.'),
  ),
})
export type ProofsAtStake = v.InferOutput<typeof ProofsAtStake>
