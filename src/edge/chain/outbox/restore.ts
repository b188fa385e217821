import { type SQL, sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import { begunTwice } from '../delegated/twice.ts'
import { giveUpDeliveries } from '../vanish.ts'
import type { Key } from './computed.ts'

/** `from`: where its row is; `to`: what it answers. `tx`: in which it was mined. */
export type Restoring = { chain: number; tx: string; from: Key; to: Key; guard: SQL }

/** Statements that have a delivery which was given up for another one of the same interval take that one's place: the chain took it. */
export function restoreDelivery(db: Db, { chain, tx, from, to, guard }: Restoring) {
  const isGivenUp = sql`exists (select 1 from deliveries as mined where mined.chain = ${chain} and mined.subscription = ${from.subscription}
    and mined.interval = ${from.interval} and mined.tx = ${tx} and mined.state = 'dropped')`
  return [
    ...giveUpDeliveries(db, {
      which: sql`chain = ${chain} and subscription = ${to.subscription} and interval = ${to.interval}
        and state not in ('delivered', 'final') and ${guard} and ${isGivenUp}`,
      why: { reason: sql`${begunTwice.reason}`, message: sql`${begunTwice.message}` },
    }),
    db.orm.run(sql`
      update deliveries set subscription = ${to.subscription}, interval = ${to.interval}, state = 'delivered', reason = null, message = null
      where chain = ${chain} and subscription = ${from.subscription} and interval = ${from.interval} and tx = ${tx} and state = 'dropped'
        and ${guard} and not exists (select 1 from deliveries as kept where kept.chain = ${chain}
          and kept.subscription = ${to.subscription} and kept.interval = ${to.interval})`),
  ] as const
}
