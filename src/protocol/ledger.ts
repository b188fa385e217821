import * as v from 'valibot'

const Address = v.pipe(v.string(), v.regex(/^0x[0-9a-f]{40}$/))
const Amount = v.pipe(v.string(), v.regex(/^\d+$/), v.description('Base units of the token, in decimal.'))
const Wei = v.pipe(v.string(), v.regex(/^\d+$/), v.description('Wei, in decimal.'))
const Day = v.pipe(v.string(), v.regex(/^\d{4}-\d{2}-\d{2}$/), v.description('Of block time, in UTC.'))

const sums = {
  payment: v.pipe(Amount, v.description("What the node's wallet was paid.")),
  slashed: v.pipe(Amount, v.description('What it lost of its stake.')),
  owed: v.pipe(
    Amount,
    v.description("Earned beside that, and not let through by the token: the consumer's wallet owes it."),
  ),
  owing: v.pipe(Amount, v.description("Lost beside that, likewise: the node's wallet owes it.")),
  protocol_fee: v.pipe(Amount, v.description("What the consumer's wallet paid to the protocol.")),
  verifier_fee: v.pipe(Amount, v.description('And to the verifier of proofs.')),
  gas_used: v.number(),
  gas_cost: Wei,
}
const consumer = v.pipe(
  v.nullable(Address),
  v.description('Owner of the subscriptions; null: the node for itself.'),
)
const token = v.pipe(Address, v.description('Zero: ETH, and what paid nothing.'))

/** What a consumer paid in a token on a day, and what answering it cost. */
export const LedgerDay = v.object({
  day: Day,
  consumer,
  token,
  answers: v.pipe(v.number(), v.description('Accepted.')),
  rejected: v.pipe(v.number(), v.description('Their proof was judged false.')),
  failed: v.pipe(v.number(), v.description('Mined for nothing.')),
  ...sums,
})
export type LedgerDay = v.InferOutput<typeof LedgerDay>

/** One answer that was mined, or one expense. */
export const LedgerEntry = v.object({
  day: Day,
  at: v.pipe(v.number(), v.description('Unix seconds of block time.')),
  hash: v.pipe(v.string(), v.description('The transaction.')),
  block: v.number(),
  kind: v.picklist(['answer', 'rejected', 'failed', 'verdict', 'expense']),
  subscription: v.nullable(v.number()),
  interval: v.nullable(v.number()),
  consumer,
  token,
  ...sums,
})
export type LedgerEntry = v.InferOutput<typeof LedgerEntry>

/** A page of the books, the oldest first. */
export const LedgerPage = v.object({
  chain: v.number(),
  rows: v.union([v.array(LedgerDay), v.array(LedgerEntry)]),
  next: v.pipe(v.nullable(v.string()), v.description('`after` of the next page.')),
})
export type LedgerPage = v.InferOutput<typeof LedgerPage>
