import type { Context } from 'hono'
import type { Ends } from '../bell/ends.ts'
import type { Context as App } from '../context.ts'
import type { Piece } from '../stream/stored.ts'
import { goneError } from './job-events.ts'
import { errorOf, failureError, failureOf, openAiError } from './openai-error.ts'
import { type Opening, openReading, respondWithStream } from './stream-opening.ts'

/** The container's events as they come. Nothing is answered before the first, so that what goes wrong until then has a status. */
export async function openAiStream(app: App, ends: Ends, c: Context, opening: Opening): Promise<Response> {
  const { leaving, opened } = await openReading(app, ends, c, opening)
  if ('why' in opened) return openAiError(c, 502, { message: goneError(opened.why).error })
  const { value: first } = await opened.pieces.next()
  if (!first || first.kind === 'gone')
    return openAiError(c, 502, { message: goneError(first?.why ?? 'lost').error })
  if (first.kind === 'ended' && first.row.state !== 'success') {
    // Else its place at the relay would be kept.
    await opened.pieces.return(undefined)
    return failureError(c, first.row)
  }
  return respondWithStream(app, c, verbatim(first, opened.pieces), { leaving, isEvents: true })
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
