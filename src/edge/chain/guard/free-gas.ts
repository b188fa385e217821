import { sql } from 'drizzle-orm'
import type { Address } from 'viem'
import type { Db } from '../../db/open.ts'
import { hourOf } from './hour.ts'
import { everybody } from './record.ts'
import type { Earning } from './unpaid-gas.ts'
import { windowHours } from './window.ts'

type Row = { gas: number; payout: string; token: Address; route: string | null }

/**
 * Gas of answers that are not paid for: `used`: of those that were mined in the last 24 hours. `sending`: what is on its way, with its estimates. As much
 * as 24 rows and the open transactions, whatever was before.
 */
export async function readFreeGas(
  { orm, now }: Db,
  chain: number,
): Promise<{ used: number; sending: Earning[] }> {
  const [[row], sending] = await orm.batch([
    orm.all<{ used: number }>(sql`
      select coalesce(sum(unpaid_gas), 0) as used from consumer_hours
      where chain = ${chain} and owner = ${everybody} and hour > ${hourOf(now)} - ${windowHours}`),
    orm.all<Row>(sql`
      select coalesce(d.gas, 0) as gas, coalesce(d.min_payout, s.payment_amount) as payout, s.payment_token as token, s.route
      from transactions t indexed by transactions_open
        cross join deliveries d indexed by deliveries_tx on d.tx = t.id and d.state = 'sending'
        cross join subscriptions s on s.chain = d.chain and s.id = d.subscription
      where t.chain = ${chain} and t.state in ('signed', 'sent')`),
  ])
  return {
    used: row?.used ?? 0,
    sending: sending.map(each => ({ ...each, payout: BigInt(each.payout) })),
  }
}
