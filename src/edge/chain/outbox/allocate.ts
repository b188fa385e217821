import { type SQL, sql } from 'drizzle-orm'
import type { Step } from '../step.ts'
import type { Sending } from './broadcast.ts'
import type { Fees } from './fees.ts'
import type { Planned } from './plan.ts'
import { sign, storeSigned } from './signed.ts'
import { isUsed } from './used.ts'

/** Others that take nonces of the same signer win a race each. */
const maxRaces = 4

/** `stakings`: of `Worthy`; null: whatever others stake meanwhile. */
export type Allocation = { planned: Planned; fees: Fees; stakings: number | null }

/**
 * Takes a nonce for answers: it is signed first, and then written down with what was signed and whose answers it carries, in one batch that
 * does nothing if the nonce or one of the answers was taken meanwhile. `first`: the first nonce that the chain has not used.
 * @returns null when somebody else sends some of these answers, or has begun or sent others with a stake, where these have one.
 */
export async function allocate(
  step: Step,
  { first, ...options }: Allocation & { first: number },
): Promise<Sending | null> {
  for (let race = 0; race < maxRaces; race++) {
    const nonce = await nextNonce(step, first)
    if (nonce === null) return null
    const taken = await take(step, { ...options, nonce })
    if (taken !== null) return taken
    if (!(await areFree(step, options))) return null
  }
  return null
}

/**
 * The lowest nonce that the chain has not used, and this node neither. A hole, as a reorganisation can leave one, is filled before anything
 * goes behind it; what lies below a final one is none, but forgotten.
 */
export async function nextNonce({ db, chain }: Step, first: number): Promise<number | null> {
  const { id } = chain.config
  const { address } = chain.signer
  const used = sql`select nonce from transactions indexed by transactions_nonce
    where chain = ${id} and signer = ${address} and state <> 'displaced' and nonce`
  const [row] = await db.orm.all<{ nonce: number }>(sql`
    select min(free.nonce) as nonce from (
      select ${first} as nonce where not exists (${used} = ${first})
      union all
      select nonce + 1 from (${used} >= ${first}) as mine where not exists (${used} = mine.nonce + 1)) as free
    where not ${isUsed({ chain: id, signer: address, nonce: sql`free.nonce` })}`)
  return row?.nonce ?? null
}

async function take(
  step: Step,
  { planned, fees, nonce, stakings }: Allocation & { nonce: number },
): Promise<Sending | null> {
  const { db, chain, contracts } = step
  const { data, gas, deadline, deliveries } = planned
  const signed = await sign(step, {
    kind: 'deliver',
    nonce,
    to: contracts.coordinator,
    data,
    gas,
    fees,
    deadline,
  })
  const keys = JSON.stringify(
    deliveries.map(({ subscription, interval, gas: own }) => [subscription, interval, own]),
  )
  const theirs = sql`deliveries where chain = ${chain.config.id} and state = 'computed' and tx is null
    and (subscription, interval) in (select value ->> 0, value ->> 1 from json_each(${keys}))`
  const [stored] = await db.orm.batch([
    ...storeSigned(
      step,
      signed,
      sql`(select count(*) from ${theirs}) = ${deliveries.length} and ${isUnstaked(step, stakings)}`,
    ),
    db.orm.run(sql`
      update deliveries set state = 'sending', tx = ${signed.id}, reason = null, message = null,
        gas = (select value ->> 2 from json_each(${keys}) where value ->> 0 = subscription and value ->> 1 = interval)
      where rowid in (select rowid from ${theirs}) and ${signed.isStored}`),
    // As with what is begun: it tells others who have summed up what is at stake.
    ...(stakings === null
      ? []
      : [
          db.orm.run(
            sql`update chains set stakings = stakings + 1 where id = ${chain.config.id} and ${signed.isStored}`,
          ),
        ]),
  ])
  return stored.length === 1 ? signed : null
}

async function areFree(step: Step, { planned: { deliveries }, stakings }: Allocation): Promise<boolean> {
  const { db, chain } = step
  const keys = JSON.stringify(deliveries.map(({ subscription, interval }) => [subscription, interval]))
  const [row] = await db.orm.all<{ free: number; unstaked: number }>(sql`
    select count(*) as free, ${isUnstaked(step, stakings)} as unstaked from deliveries
    where chain = ${chain.config.id} and state = 'computed' and tx is null
      and (subscription, interval) in (select value ->> 0, value ->> 1 from json_each(${keys}))`)
  return row?.free === deliveries.length && row.unstaked === 1
}

/** Whether nobody else has begun or sent anything with a stake since it was summed up. */
function isUnstaked({ chain }: Step, stakings: number | null): SQL {
  return stakings === null
    ? sql`true`
    : sql`(select stakings from chains where id = ${chain.config.id}) = ${stakings}`
}
