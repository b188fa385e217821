import { sql } from 'drizzle-orm'
import type { RegisterRequest } from '../../protocol/runner.ts'
import type { Db } from '../db/open.ts'

/** Notes an instance and its containers' policies. @returns false when the runner is revoked. */
export async function register(
  { orm, now }: Db,
  { runner, instance, version, containers }: RegisterRequest & { runner: string },
): Promise<boolean> {
  const enrolled = sql`exists (select 1 from runners where id = ${runner} and revoked_at is null)`
  const [rows] = await orm.batch([
    orm.all(sql`
      insert into instances (id, runner, version, registered_at, last_seen_at)
      select ${instance}, ${runner}, ${version}, ${now}, ${now} where ${enrolled}
      on conflict (id) do update set version = excluded.version, last_seen_at = excluded.last_seen_at
        where instances.runner = excluded.runner
      returning id`),
    // Only a change raises the policy's epoch: restarting runners do not make every isolate load the policy again.
    orm.run(sql`
      update runners set containers = ${JSON.stringify(containers)}
      where id = ${runner} and revoked_at is null and containers is not ${JSON.stringify(containers)}`),
  ])
  return rows.length === 1
}
