import { type Context, Hono } from 'hono'
import * as v from 'valibot'
import type { Refusal } from '../../protocol/error.ts'
import { JobRequestBody } from '../../protocol/job.ts'
import { lastEventId } from '../../protocol/stream.ts'
import type { Ends } from '../bell/ends.ts'
import type { Context as App } from '../context.ts'
import { type JobRow, readJobs } from '../jobs/read.ts'
import type { Piece } from '../stream/stored.ts'
import { type Create, creating, keyParameter, tellOutcomes } from './creating.ts'
import { described } from './describe.ts'
import { isId } from './id.ts'
import { jobNotFound } from './job-answer.ts'
import { events, goneError } from './job-events.ts'
import { refuse } from './refuse.ts'
import { isPending, isStream, outputBytes } from './render.ts'
import { senderOf } from './sender.ts'
import {
  type Opening,
  openingOf,
  openingOfMade,
  openReading,
  respondWithStream,
  streamHeaders,
} from './stream-opening.ts'

export function jobStreamRoutes(app: App, { ends, create }: { ends: Ends; create: Create }): Hono {
  const routes = new Hono()

  /** `head`: what comes before the bytes, where they come as they are. */
  async function open(c: Context, opening: Opening, head: string): Promise<Response> {
    const { leaving, opened } = await openReading(app, ends, c, opening)
    if ('why' in opened) return refuse(c, goneError(opened.why))
    const isEvents = wantsEvents(c)
    const text = isEvents ? events(opened.pieces, opening) : verbatim(opened.pieces, head)
    return respondWithStream(app, c, text, { leaving, isEvents })
  }

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
      refusals: [...creating, 'streaming_offchain_only', 'closing'],
    }),
    async c => {
      const [outcome] = await create(c, { batch: false, watched: true, streamed: true })
      if (!outcome) return refuse(c, { code: 'malformed_json', error: 'Malformed JSON: the body is empty' })
      if ('code' in outcome) return refuse(c, outcome)
      tellOutcomes(c, [outcome])
      const opening = await openingOfMade(app, c, outcome)
      return opening ? await open(c, opening, `${outcome.id}\n`) : refuse(c, jobNotFound)
    },
  )

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
      refusals: ['invalid_request', 'not_found', 'conflict', 'output_gone', 'too_many_readers', 'closing'],
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
      // Nobody pulls or cancels what would be its body, so that a reader would sit there for good.
      if (c.req.method === 'HEAD') return c.body(null, 200, streamHeaders({ isEvents: wantsEvents(c) }))
      return await open(c, openingOf(row, from), '')
    },
  )

  return routes
}

function wantsEvents(c: Context): boolean {
  return /\btext\/event-stream\b/.test(c.req.header('accept') ?? '')
}

/** Why an ended stream cannot be read from an offset on. */
function refusalOf(row: JobRow, from: number): Refusal | null {
  const bytes = outputBytes(row)
  if (from > bytes)
    return { code: 'invalid_request', error: `The stream has ${bytes} bytes`, params: { bytes } }
  return from > row.stream_bytes && from < bytes ? goneError('passed') : null
}

/** The bytes as they are. What is lost breaks the answer off: a clean end would be taken for the whole. */
async function* verbatim(pieces: AsyncGenerator<Piece>, head: string): AsyncGenerator<string | Uint8Array> {
  if (head !== '') yield head
  for await (const piece of pieces) {
    if (piece.kind === 'output') yield piece.bytes
    else if (piece.kind === 'gone') throw new Error(goneError(piece.why).error)
  }
}
