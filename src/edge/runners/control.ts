import { sql } from 'drizzle-orm'
import type { ControlAnswer, Question } from '../../protocol/runner.ts'
import type { Db } from '../db/open.ts'
import { selectHeld } from '../jobs/extend.ts'

/** How long a question is worth answering. */
export const questionMs = 10_000

export type Orders = ControlAnswer & { known: boolean }

/** What an instance should know: leases that ended without it, its mode, questions that it has not answered. */
export async function readOrders(
  db: Db,
  {
    runner,
    instance,
    holding,
  }: { runner: string; instance: string; holding: readonly { id: string; attempt: number }[] },
): Promise<Orders> {
  const { orm, now } = db
  const [runners, questions] = await orm.batch([
    orm.all<{ mode: ControlAnswer['mode'] }>(sql`
      select mode from runners where id = ${runner} and revoked_at is null
        and exists (select 1 from instances where id = ${instance} and runner = ${runner})`),
    orm.all<{ id: string; model_id: string | null }>(sql`
      select id, model_id from questions where asked_at > ${now} - ${questionMs}
        and not exists (select 1 from answers where question = questions.id and instance = ${instance})
      order by asked_at limit 16`),
  ])
  const held = await selectHeld(db, { runner, leases: holding })
  const asked: Question[] = questions.map(({ id, model_id }) => ({ id, kind: 'resources', model_id }))
  return {
    known: runners.length === 1,
    mode: runners[0]?.mode ?? 'run',
    cancel: holding.filter(({ id }) => !held.has(id)).map(({ id, attempt }) => ({ id, attempt })),
    questions: asked,
  }
}
