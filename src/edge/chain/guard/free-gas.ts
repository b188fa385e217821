import { sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import { hourOf } from './hour.ts'
import { everybody } from './record.ts'
import { windowHours } from './window.ts'

/**
 * Gas of answers that pay nothing: `used`: delivered in the last 24 hours. `sending`: by its estimates, of what is on its way. As much as 24 rows and
 * the open transactions, whatever was before.
 */
export async function readFreeGas(
  { orm, now }: Db,
  chain: number,
): Promise<{ used: number; sending: number }> {
  const [row] = await orm.all<{ used: number; sending: number }>(sql`
    select (select coalesce(sum(unpaid_gas), 0) from consumer_hours
        where chain = ${chain} and owner = ${everybody} and hour > ${hourOf(now)} - ${windowHours}) as used,
      (select coalesce(sum(d.gas), 0) from transactions t indexed by transactions_open
        cross join deliveries d indexed by deliveries_tx on d.tx = t.id and d.state = 'sending'
        cross join subscriptions s on s.chain = d.chain and s.id = d.subscription and s.payment_amount = '0'
        where t.chain = ${chain} and t.state in ('signed', 'sent')) as sending`)
  return row ?? { used: 0, sending: 0 }
}
