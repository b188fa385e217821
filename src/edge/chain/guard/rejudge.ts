import { sha256 } from '@noble/hashes/sha2'
import { bytesToHex } from '@noble/hashes/utils'
import { sql } from 'drizzle-orm'
import type { Db } from '../../db/open.ts'
import type { ChainConfig } from '../chain.ts'
import { dueAgain } from '../rewind-subscriptions.ts'

type Judging = Pick<ChainConfig, 'id' | 'guard' | 'paymentAddress'>

/** Reasons that a configuration gives for waiting. */
const reasons = [
  'consumer_limit',
  'unprofitable',
  'fee_unknown',
  'approval_unprofitable',
  'free_gas_spent',
  'stake_limit',
]

/**
 * Has everything judged again that another configuration has refused, or has had wait: refused ones as under another policy, and so a page at a
 * time. Asked when a chain is first looked at; of two nodes on one database each has the other's verdicts judged again once.
 * @returns whether it is another configuration than before.
 */
export async function rejudge({ orm }: Db, config: Judging): Promise<boolean> {
  const { id } = config
  const digest = digestOf(config)
  const isAnother = sql`exists (select 1 from chains where id = ${id} and coalesce(judged_config, '') <> ${digest})`
  const [, , changed] = await orm.batch([
    orm.run(sql`update policy set epoch = epoch + 1 where ${isAnother}`),
    orm.run(sql`
      update subscriptions set due_at = ${dueAgain.undecided}
      where chain = ${id} and state = 'active' and reason in (select value from json_each(${JSON.stringify(reasons)})) and ${isAnother}`),
    orm.all(sql`
      update chains set judged_config = ${digest} where id = ${id} and coalesce(judged_config, '') <> ${digest} returning id`),
  ])
  return changed.length > 0
}

/** Of what an admission depends on, in hex: the same for the same configuration, in whatever order it is written. */
export function digestOf({ guard, paymentAddress }: Judging): string {
  const text = JSON.stringify([paymentAddress, guard], (_, value: unknown) => {
    if (typeof value === 'bigint') return String(value)
    if (value instanceof Map) return [...value].toSorted(([a], [b]) => (a < b ? -1 : 1))
    return value
  })
  return bytesToHex(sha256(new TextEncoder().encode(text)))
}
