import { sql } from 'drizzle-orm'
import type { HostReport } from '../../protocol/host.ts'
import type { Runner } from '../../protocol/runner.ts'
import type { Db } from '../db/open.ts'
import { wireBytes } from '../db/wire-bytes.ts'

type Process = NonNullable<Runner['process']>

/** A process that was silent for so long is dead. */
const silentMs = 120_000
/** Of all that is told of them: a SQL response stays below 4 MiB. 1,000 hosts with eight GPUs each fit. */
const maxBytes = 3.5 * 1024 * 1024

type Row = { runner: string; id: string; version: string; unready: string; host: string | null }

/** Of each runner the process that was heard of last, as it tells of itself. Those heard of longest ago are left out where it is too much. */
export async function readProcesses({ orm, now }: Db): Promise<Map<string, Process>> {
  const rows = await orm.all<Row>(sql`
    select runner, id, version, unready, host from (
      select *, sum(200 + ${wireBytes(sql`unready`)} + ${wireBytes(sql`host`)}) over (order by last_seen_at desc, id) as total from (
        select runner, id, version, last_seen_at, host,
          (select json_group_array(json(value)) from json_each(health) where value ->> 'health' <> 'ready') as unready,
          row_number() over (partition by runner order by last_seen_at desc, id) as place
        from instances where last_seen_at > ${now} - ${silentMs})
      where place = 1)
    where total <= ${maxBytes} limit 1000`)
  return new Map(
    rows.map(({ runner, id, version, unready, host }) => [
      runner,
      {
        instance: id,
        version,
        unready: JSON.parse(unready) as Process['unready'],
        host: host === null ? null : (JSON.parse(host) as HostReport),
      },
    ]),
  )
}
