import { sql } from 'drizzle-orm'
import { plainGpuLabels, plainLabels } from '../../protocol/labels.ts'
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
  { runner, instance, version, containers, ...told }: RegisterRequest & { runner: string },
): Promise<Registered | null> {
  const offered = JSON.stringify(containers)
  // Null, as of a host that has yet to look at itself, or knows of no labels, leaves what was told before.
  const labels = told.labels ? JSON.stringify(plainLabels(told.labels)) : null
  const gpuLabels = told.gpu_labels ? JSON.stringify(plainGpuLabels(told.gpu_labels)) : null
  const enrolled = sql`exists (select 1 from runners where id = ${runner} and revoked_at is null)`
  const [rows, changed] = await orm.batch([
    orm.all(sql`
      insert into instances (id, runner, version, registered_at, last_seen_at, labels, gpu_labels)
      select ${instance}, ${runner}, ${version}, ${now}, ${now}, ${labels}, ${gpuLabels} where ${enrolled}
        and (select count(*) from instances where runner = ${runner} and id <> ${instance} and last_seen_at > ${now} - ${deadMs}) < ${maxInstances}
      on conflict (id) do update set version = excluded.version, last_seen_at = excluded.last_seen_at,
        labels = coalesce(excluded.labels, labels), gpu_labels = coalesce(excluded.gpu_labels, gpu_labels)
        where instances.runner = excluded.runner
      returning id`),
    // Of an instance that was let in, since a batch goes on when its first statement matches nothing. Only a change raises the policy's epoch: restarting runners do not make every isolate load the policy again.
    orm.run(sql`
      update runners set containers = ${offered}, labels = coalesce(${labels}, labels), gpu_labels = coalesce(${gpuLabels}, gpu_labels)
      where id = ${runner} and revoked_at is null
        and (containers is not ${offered} or labels is not coalesce(${labels}, labels) or gpu_labels is not coalesce(${gpuLabels}, gpu_labels))
        and exists (select 1 from instances where id = ${instance} and runner = ${runner})`),
  ])
  return rows.length === 1 ? { isNews: changed.rowsAffected > 0 } : null
}
