import type { Context } from 'hono'
import { destination } from '../../protocol/job.ts'
import type { Ends } from '../bell/ends.ts'
import { readDeliveryOfJob } from '../chain/view/read.ts'
import type { Context as App } from '../context.ts'
import { type JobRow, readJobs } from '../jobs/read.ts'
import type { WhyWaiting } from '../runners/waiting.ts'
import { isId } from './id.ts'
import { refuse } from './refuse.ts'
import { isInParts, isPending, jobInFull, respond } from './render.ts'
import { senderOf } from './sender.ts'
import { tellWaited, untilEnded } from './wait.ts'

/** What answers about jobs share, for as long as the process lives. */
export type JobView = { ends: Ends; whyWaiting: WhyWaiting }

export type JobAnswer = {
  id: string
  /** By `app.now()`: until then the job's end is waited for. */
  deadline: number
  /** The job was made a moment ago, as watched: it is not worth a look before the first wait. */
  isNew: boolean
}

/** A job that has waited so long is told why. */
const patienceMs = 3_000

export const jobNotFound = { code: 'not_found', error: 'Job not found' } as const

/** One job in full, as it is when it has ended or the time is over. */
export async function respondWithJob(
  app: App,
  { ends, whyWaiting }: JobView,
  c: Context,
  { id, deadline, isNew }: JobAnswer,
): Promise<Response> {
  if (!isId(id)) return refuse(c, jobNotFound)
  const { owner } = senderOf(app, c)
  const { signal } = c.req.raw
  const wait = () => untilEnded(app, ends, { owner, ids: [id], areWatched: isNew, deadline, signal })
  const read = async () => (await readJobs(app.db, { owner, ids: [id] }))[0]
  let canWait = isNew ? await wait() : true
  let row = await read()
  while (row && isPending(row) && canWait && app.now() < deadline && !signal.aborted) {
    canWait = await wait()
    row = await read()
  }
  if (!row) return refuse(c, jobNotFound)
  if (canWait) tellWaited(c)
  const asked = row.destination === destination.onchain ? await readDeliveryOfJob(app.db, id) : null
  const waiting = isLate(app, row) ? await whyWaiting(await app.policy.read(), row.route) : null
  return await respond(c, jobInFull(app.db, row, { asked, waiting }), { streamed: isInParts(row) })
}

/** Most jobs are taken at once, and cost nothing here. */
function isLate(app: App, row: JobRow): boolean {
  return row.state === 'queued' && app.now() - row.created_at >= patienceMs
}
