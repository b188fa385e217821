import { type Context, Hono } from 'hono'
import * as v from 'valibot'
import { containersOf } from '../../protocol/container.ts'
import type { Refusal } from '../../protocol/error.ts'
import { JobRequestBody } from '../../protocol/job.ts'
import { limits } from '../../protocol/limits.ts'
import { lastEventId } from '../../protocol/stream.ts'
import type { Ends } from '../bell/ends.ts'
import type { Context as App } from '../context.ts'
import { type JobRow, readJobs } from '../jobs/read.ts'
import { describe as describeError } from '../log.ts'
import { type Opened, openStream, readEnded } from '../stream/reader.ts'
import type { Piece } from '../stream/stored.ts'
import type { Made } from './create.ts'
import { type Create, creating, keyParameter, tellOutcomes } from './creating.ts'
import { described } from './describe.ts'
import { isId } from './id.ts'
import { jobNotFound } from './job-answer.ts'
import { events, goneError } from './job-events.ts'
import { refuse } from './refuse.ts'
import { isPending, isStream, outputBytes } from './render.ts'
import { senderOf } from './sender.ts'
import { createStreamBody } from './stream-body.ts'

/** A stream that a client is about to be given. */
export type Opening = {
  id: string
  container: string
  from: number
  /** Its id comes first, as a client that has just made it wants. */
  withId: boolean
  unreadMs: number | null
  expiresAt: number | null
  /** null: made by this request. */
  row: JobRow | null
}

export function jobStreamRoutes(app: App, { ends, create }: { ends: Ends; create: Create }): Hono {
  const routes = new Hono()
  const open = createOpen(app, ends)

  routes.post(
    '/api/jobs/stream',
    described({
      summary: 'Create a streaming job',
      tag: 'Jobs',
      description:
        "The job's id and a line end, then the container's bytes as they come; with `Accept: text/event-stream` events: `start`, `output`, then `completed` or `error`. Of a chain the first container is called. When its client leaves the job is cancelled, unless `detach` says otherwise.",
      body: JobRequestBody,
      parameters: [keyParameter],
      answer: { description: 'The stream.', schema: v.string(), contentType: 'application/octet-stream' },
      refusals: [...creating, 'streaming_offchain_only'],
    }),
    async c => {
      const [outcome] = await create(c, { batch: false, watched: true, streamed: true })
      if (!outcome) return refuse(c, { code: 'malformed_json', error: 'Malformed JSON: the body is empty' })
      if ('code' in outcome) return refuse(c, outcome)
      tellOutcomes(c, [outcome])
      return await openMade(c, outcome)
    },
  )

  /** What an earlier request made is read from its beginning. */
  async function openMade(c: Context, { id, stream }: Pick<Made, 'id' | 'stream'>): Promise<Response> {
    if (stream === null) {
      const [row] = await readJobs(app.db, { owner: senderOf(app, c).owner, ids: [id] })
      if (!row) return refuse(c, jobNotFound)
      return await open(c, { ...openingOf(row), from: 0, withId: true })
    }
    return await open(c, {
      id,
      container: stream.container,
      from: 0,
      unreadMs: stream.unreadMs,
      expiresAt: app.now() + stream.expiryMs,
      row: null,
      withId: true,
    })
  }

  routes.get(
    '/api/jobs/:id/stream',
    described({
      summary: 'Read a stream again, or go on with it',
      tag: 'Jobs',
      description:
        'As creating it answers, without the id in front. From the byte after `Last-Event-ID`, or `from`, on; while it runs, and as long as the node keeps it. Several may read one stream.',
      parameters: [
        { name: 'id', in: 'path', description: 'The id that creating it answered.' },
        { name: 'from', in: 'query', description: 'Offset of the first byte wanted.' },
        { name: 'Last-Event-ID', in: 'header', description: 'Id of the last `output` event seen.' },
      ],
      answer: { description: 'The stream.', schema: v.string(), contentType: 'application/octet-stream' },
      refusals: ['invalid_request', 'not_found', 'conflict', 'output_gone', 'too_many_readers'],
    }),
    async c => {
      const id = c.req.param('id')
      if (!isId(id)) return refuse(c, jobNotFound)
      const asked = c.req.header('last-event-id') || (c.req.query('from') ?? '0')
      // Who has seen the end, and asks again as browsers do, is told not to.
      if (asked === lastEventId) return c.body(null, 204)
      const from = /^\d{1,15}$/.test(asked) ? Number(asked) : null
      if (from === null)
        return refuse(c, {
          code: 'invalid_request',
          error: 'Invalid query: from: must be an offset in bytes',
        })
      const [row] = await readJobs(app.db, { owner: senderOf(app, c).owner, ids: [id] })
      if (!row) return refuse(c, jobNotFound)
      if (!isStream(row))
        return refuse(c, { code: 'conflict', error: 'This job is no stream', params: { id } })
      const refusal = isPending(row) ? null : refusalOf(row, from)
      if (refusal) return refuse(c, refusal)
      return await open(c, { ...openingOf(row), from, withId: false })
    },
  )

  return routes
}

/** Why an ended stream cannot be read from an offset on. */
function refusalOf(row: JobRow, from: number): Refusal | null {
  const bytes = outputBytes(row)
  if (from > bytes)
    return { code: 'invalid_request', error: `The stream has ${bytes} bytes`, params: { bytes } }
  return from > row.stream_bytes && from < bytes ? goneError('passed') : null
}

function openingOf(row: JobRow): Omit<Opening, 'from' | 'withId'> {
  return {
    id: row.id,
    container: containersOf(row.route)[0] ?? '',
    unreadMs: row.unread_ms,
    expiresAt: row.state === 'queued' ? row.expires_at : null,
    row,
  }
}

/** Answers with a stream, as the client wants it. */
export function createOpen(app: App, ends: Ends) {
  return async function open(c: Context, opening: Opening): Promise<Response> {
    const leaving = new AbortController()
    const { signal } = c.req.raw
    const leave = () => leaving.abort()
    signal.addEventListener('abort', leave)
    if (signal.aborted) leave()
    const opened = await read(c, { opening, signal: leaving.signal })
    if ('why' in opened) return refuse(c, goneError(opened.why))
    const isEvents = /\btext\/event-stream\b/.test(c.req.header('accept') ?? '')
    const text = isEvents
      ? events(opened.pieces, opening)
      : verbatim(opened.pieces, opening.withId ? `${opening.id}\n` : '')
    const body = createStreamBody(text, {
      onCancel: leave,
      onError(error) {
        if (!leaving.signal.aborted) app.log.warn('A stream broke off', { error: describeError(error) })
      },
      commentMs: isEvents ? limits.streamCommentMs : null,
    })
    return c.body(body, 200, {
      'content-type': isEvents ? 'text/event-stream; charset=utf-8' : 'application/octet-stream',
      'content-encoding': 'identity',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
    })
  }

  async function read(
    c: Context,
    { opening, signal }: { opening: Opening; signal: AbortSignal },
  ): Promise<Opened> {
    const { id, from, row, unreadMs, expiresAt } = opening
    const job = { id, owner: senderOf(app, c).owner }
    if (row !== null && !isPending(row)) return { pieces: readEnded({ app, job, from, signal }, row) }
    return await openStream({
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
  }
}

/** The bytes as they are. What is lost breaks the answer off: a clean end would be taken for the whole. */
async function* verbatim(pieces: AsyncGenerator<Piece>, head: string): AsyncGenerator<string | Uint8Array> {
  if (head !== '') yield head
  for await (const piece of pieces) {
    if (piece.kind === 'output') yield piece.bytes
    else if (piece.kind === 'gone') throw new Error(goneError(piece.why).error)
  }
}
