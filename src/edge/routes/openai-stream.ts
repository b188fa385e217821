import type { Context } from 'hono'
import { limits } from '../../protocol/limits.ts'
import type { Ends } from '../bell/ends.ts'
import type { Context as App } from '../context.ts'
import { describe } from '../log.ts'
import { openStream } from '../stream/reader.ts'
import type { Piece } from '../stream/stored.ts'
import { goneError } from './job-events.ts'
import { errorOf, failureError, failureOf, openAiError } from './openai-error.ts'
import { senderOf } from './sender.ts'
import { createStreamBody } from './stream-body.ts'

/** A stream that this request made. */
export type Made = { id: string; unreadMs: number | null; expiryMs: number }

/** The container's events as they come. Nothing is answered before the first, so that what goes wrong until then has a status. */
export async function openAiStream(app: App, ends: Ends, c: Context, made: Made): Promise<Response> {
  const leaving = new AbortController()
  const { signal } = c.req.raw
  const leave = () => leaving.abort()
  signal.addEventListener('abort', leave)
  if (signal.aborted) leave()
  const opened = await openStream({
    app,
    ends,
    job: { id: made.id, owner: senderOf(app, c).owner },
    from: 0,
    unreadMs: made.unreadMs,
    expiresAt: app.now() + made.expiryMs,
    isNew: true,
    signal: leaving.signal,
    background: work => app.background(c, work),
  })
  if ('why' in opened) return openAiError(c, 502, { message: goneError(opened.why).error })
  const { value: first } = await opened.pieces.next()
  if (!first || first.kind === 'gone')
    return openAiError(c, 502, { message: goneError(first?.why ?? 'lost').error })
  if (first.kind === 'ended' && first.row.state !== 'success') return failureError(c, first.row)
  const body = createStreamBody(verbatim(first, opened.pieces), {
    onCancel: leave,
    onError(error) {
      if (!leaving.signal.aborted) app.log.error('A stream broke off', { error: describe(error) })
    },
    commentMs: limits.streamCommentMs,
  })
  return c.body(body, 200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'content-encoding': 'identity',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
  })
}

async function* verbatim(first: Piece, rest: AsyncGenerator<Piece>): AsyncGenerator<string | Uint8Array> {
  for (let piece: Piece | null = first; piece; ) {
    if (piece.kind === 'output') yield piece.bytes
    else if (piece.kind === 'gone') yield failed(502, goneError(piece.why).error)
    else if (piece.row.state !== 'success') {
      const { status, message, code } = failureOf(piece.row)
      yield failed(status, message, code)
    }
    const next = await rest.next()
    piece = next.done ? null : next.value
  }
}

/** As OpenAI says it within a stream. */
function failed(status: number, message: string, code?: string): string {
  return `data: ${JSON.stringify({ error: errorOf(status, { message, ...(code && { code }) }) })}\n\n`
}
