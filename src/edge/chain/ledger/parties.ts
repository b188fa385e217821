import { sql } from 'drizzle-orm'
import { type Address, zeroAddress } from 'viem'
import type { Subscription } from '../chain.ts'
import type { Step } from '../step.ts'
import { knownRecipients } from './fee-recipients.ts'
import type { Parties } from './sums.ts'

/** `nodeWallet`: that the answer names; null: none, or it was not noted. */
type Named = { subscription: number; place: number | null; nodeWallet: Address | null }
type Row = { id: number; owner: Address; wallet: Address; token: Address; verifier: Address }

/**
 * Whose money answers move: of the node what was in the wallet that an answer names, whatever is configured by now. One that has just been
 * created is known by the place of its request, and not yet by its id. `found`: by id, what answers were given to that were to create it: they
 * move money by its terms.
 * @returns null for a subscription that is not known any more.
 */
export async function partiesOf(
  { db, chain, contracts }: Step,
  answers: readonly Named[],
  found: ReadonlyMap<number, Subscription> = new Map(),
): Promise<(answer: Named) => Parties | null> {
  if (answers.length === 0) return () => null
  const ids = answers.flatMap(({ subscription, place }) =>
    place === null ? [subscription] : [subscription, -place],
  )
  const rows = await db.orm.all<Row>(sql`
    select id, owner, wallet, payment_token as token, verifier from subscriptions
    where (chain, id) in (select ${chain.config.id}, value from json_each(${JSON.stringify([...new Set(ids)])}))`)
  const byId = new Map(rows.map(row => [row.id, row]))
  const foundById = new Map([...found].map(([id, terms]) => [id, { ...terms, token: terms.paymentToken }]))
  const current = chain.config.paymentAddress.toLowerCase() as Address
  return ({ subscription, place, nodeWallet: named }) => {
    // Its request first: what has the id on the chain may be another's.
    const requested = place === null ? undefined : byId.get(-place)
    const row = foundById.get(subscription) ?? requested ?? byId.get(subscription)
    if (row === undefined) return null
    const { owner, wallet, token, verifier } = row
    const nodeWallet = named ?? current
    const hasVerifier = verifier !== zeroAddress
    return { owner, wallet, token, nodeWallet, feeRecipients: knownRecipients(contracts), hasVerifier }
  }
}
