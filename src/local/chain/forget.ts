import { sql } from 'drizzle-orm'
import { openDb } from '../../edge/db/open.ts'

const tables = [
  'delegations',
  'subscriptions',
  'deliveries',
  'transactions',
  'proofs',
  'ledger',
  'chain_blocks',
]

/** Forgets what a database knows of a chain: the local one begins anew at each start, under the same id and with the same addresses. */
export async function forgetChain({ url, chain }: { url: string; chain: number }): Promise<void> {
  const { orm } = openDb({ url })
  await orm.batch([
    orm.run(sql`delete from raws where tx in (select id from transactions where chain = ${chain})`),
    ...tables.map(table => orm.run(sql`delete from ${sql.identifier(table)} where chain = ${chain}`)),
    orm.run(sql`delete from chains where id = ${chain}`),
  ])
}
