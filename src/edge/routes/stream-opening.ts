import type { Context } from 'hono'
import { containersOf } from '../../protocol/container.ts'
import { limits } from '../../protocol/limits.ts'
import type { Ends } from '../bell/ends.ts'
import type { Context as App } from '../context.ts'
import { type JobRow, readJobs } from '../jobs/read.ts'
import { describe } from '../log.ts'
import { type Opened, openStream, readEnded } from '../stream/reader.ts'
import type { Made } from './create.ts'
import { createLeaving, type Leaving } from './leaving.ts'
import { closes } from './refuse.ts'
import { isPending } from './render.ts'
import { senderOf } from './sender.ts'
import { createStreamBody } from './stream-body.ts'

/** A stream that a client is about to be given. */
export type Opening = {
  id: string
  container: string
  from: number
  unreadMs: number | null
  expiresAt: number | null
  /** null: made by this request. */
  row: JobRow | null
}

/** The stream that a request has made, or that an earlier one with its key has: from its beginning. null: it is gone. */
export async function openingOfMade(
  app: App,
  c: Context,
  { id, stream }: Pick<Made, 'id' | 'stream'>,
): Promise<Opening | null> {
  if (stream !== null) {
    const { container, unreadMs, expiryMs } = stream
    return { id, container, from: 0, unreadMs, expiresAt: app.now() + expiryMs, row: null }
  }
  const [row] = await readJobs(app.db, { owner: senderOf(app, c).owner, ids: [id] })
  return row ? openingOf(row, 0) : null
}

export function openingOf(row: JobRow, from: number): Opening {
  return {
    id: row.id,
    container: containersOf(row.route)[0] ?? '',
    from,
    unreadMs: row.unread_ms,
    expiresAt: row.state === 'queued' ? row.expires_at : null,
    row,
  }
}

/** `leaving`: to be forgotten when the pieces are over. */
export type Reading = { leaving: Leaving; opened: Opened }

/** @throws RefusalError when the client of a job that was there before has left meanwhile, or the host closes: it takes no seat. */
export async function openReading(app: App, ends: Ends, c: Context, opening: Opening): Promise<Reading> {
  const left = c.req.raw.signal
  if (left.aborted && opening.row !== null) throw closes()
  const leaving = createLeaving(left)
  const { signal } = leaving
  const { id, from, row, unreadMs, expiresAt } = opening
  const job = { id, owner: senderOf(app, c).owner }
  if (row !== null && !isPending(row))
    return { leaving, opened: { pieces: readEnded({ app, job, from, signal }, row) } }
  const opened = await openStream({
    app,
    ends,
    job,
    from,
    unreadMs,
    expiresAt,
    isNew: row === null,
    signal,
    background: work => app.background(c, work),
  })
  if ('why' in opened) leaving.forget()
  return { leaving, opened }
}

/** `isBetween`: see `StreamBodyOptions`. */
type Responding = { leaving: Leaving; isEvents: boolean; isBetween?: () => boolean }

/** The answer that a reading is, as it comes. Events are kept alive by comments. */
export function respondWithStream(
  app: App,
  c: Context,
  text: AsyncGenerator<string | Uint8Array>,
  { leaving, isEvents, isBetween = () => true }: Responding,
): Response {
  const body = createStreamBody(text, {
    onCancel: leaving.leave,
    onEnd: leaving.forget,
    onError(error) {
      if (!leaving.signal.aborted) app.log.warn('A stream broke off', { error: describe(error) })
    },
    commentMs: isEvents ? limits.streamCommentMs : null,
    isBetween,
  })
  return c.body(body, 200, streamHeaders({ isEvents }))
}

export function streamHeaders({ isEvents }: { isEvents: boolean }): Record<string, string> {
  return {
    'content-type': isEvents ? 'text/event-stream; charset=utf-8' : 'application/octet-stream',
    'content-encoding': 'identity',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
  }
}
