import { sql } from 'drizzle-orm'
import { plainLabels } from '../../protocol/labels.ts'
import type { RegisterRequest } from '../../protocol/runner.ts'
import type { Db } from '../db/open.ts'

/** Processes of one runner that may be alive at once. */
export const maxInstances = 16
/** A process that was silent for so long is dead, or registers again. */
const deadMs = 120_000

/** `isNews`: what is on offer is something else than before. */
export type Registered = { isNews: boolean }

/** Notes an instance and its containers' policies. @returns null when the runner is revoked, or has too many processes. */
export async function register(
  { orm, now }: Db,
  { runner, instance, version, containers, labels = {} }: RegisterRequest & { runner: string },
): Promise<Registered | null> {
  const offered = { containers: JSON.stringify(containers), labels: JSON.stringify(plainLabels(labels)) }
  const enrolled = sql`exists (select 1 from runners where id = ${runner} and revoked_at is null)`
  const [rows, changed] = await orm.batch([
    orm.all(sql`
      insert into instances (id, runner, version, registered_at, last_seen_at)
      select ${instance}, ${runner}, ${version}, ${now}, ${now} where ${enrolled}
        and (select count(*) from instances where runner = ${runner} and id <> ${instance} and last_seen_at > ${now} - ${deadMs}) < ${maxInstances}
      on conflict (id) do update set version = excluded.version, last_seen_at = excluded.last_seen_at
        where instances.runner = excluded.runner
      returning id`),
    // Of an instance that was let in, since a batch goes on when its first statement matches nothing. Only a change raises the policy's epoch: restarting runners do not make every isolate load the policy again.
    orm.run(sql`
      update runners set containers = ${offered.containers}, labels = ${offered.labels}
      where id = ${runner} and revoked_at is null
        and (containers is not ${offered.containers} or labels is not ${offered.labels})
        and exists (select 1 from instances where id = ${instance} and runner = ${runner})`),
  ])
  return rows.length === 1 ? { isNews: changed.rowsAffected > 0 } : null
}
