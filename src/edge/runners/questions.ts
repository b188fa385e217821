import { sql } from 'drizzle-orm'
import { uuidv7 } from 'uuidv7'
import type { Db } from '../db/open.ts'
import { questionMs } from './control.ts'

/** Clients that ask the same within this time share one question: a fan-out to every host is not theirs to multiply. */
const sharedMs = 5_000
/** Escaped, twice as long: a SQL response stays below 4 MiB. */
const maxAnswerBytes = 1.5 * 1024 * 1024

/** Questions open at once, over all clients: each wakes every runner. */
const maxOpen = 32

/**
 * Asks all runners. @returns the question's id, and whether it is new, so that they have to be woken; null when too many are open.
 */
export async function ask(
  { orm, now }: Db,
  modelId: string | null,
): Promise<{ id: string; asked: boolean } | null> {
  const fresh = sql`(select id from questions where model_id is ${modelId} and asked_at > ${now} - ${sharedMs} limit 1)`
  const open = sql`(select count(*) from questions where asked_at > ${now} - ${questionMs})`
  const id = uuidv7()
  // The insert comes first: a batch that begins by reading cannot always go on to write.
  const [inserted, rows] = await orm.batch([
    orm.all(sql`
      insert into questions (id, model_id, asked_at)
      select ${id}, ${modelId}, ${now} where ${fresh} is null and ${open} < ${maxOpen} returning id`),
    orm.all<{ id: string }>(sql`select id from questions where id = ${fresh}`),
  ])
  const [row] = rows
  return row ? { id: row.id, asked: inserted.length === 1 } : null
}

/** Stores an instance's answer, JSON text of an object by container id. Late or unasked ones are dropped. @returns whether it is stored. */
export async function answer(
  { orm }: Db,
  { runner, instance, question, text }: { runner: string; instance: string; question: string; text: string },
): Promise<boolean> {
  const rows = await orm.all(sql`
    insert into answers (question, instance, answer)
    select ${question}, ${instance}, ${text}
    where exists (select 1 from questions where id = ${question})
      and exists (select 1 from instances join runners on runners.id = instances.runner
        where instances.id = ${instance} and runners.id = ${runner} and runners.revoked_at is null)
    on conflict do nothing
    returning instance`)
  return rows.length === 1
}

/** Which instances have answered. */
export async function selectAnswered({ orm }: Db, question: string): Promise<Set<string>> {
  const rows = await orm.all<{ instance: string }>(
    sql`select instance from answers where question = ${question} limit 1000`,
  )
  return new Set(rows.map(row => row.instance))
}

/** The answers, as many as one SQL response may hold. */
export async function readAnswers({ orm }: Db, question: string): Promise<Record<string, unknown>[]> {
  const rows = await orm.all<{ answer: string }>(sql`
    select answer from (
      select answer, sum(length(cast(answer as blob))) over (order by instance) as total from answers where question = ${question})
    where total <= ${maxAnswerBytes}`)
  return rows.map(row => JSON.parse(row.answer) as Record<string, unknown>)
}
