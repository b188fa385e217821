import type { Context } from 'hono'
import type { Ends } from '../bell/ends.ts'
import type { Context as App } from '../context.ts'
import { chatEvents } from './chat-events.ts'
import { goneError } from './job-events.ts'
import { failureError, openAiError } from './openai-error.ts'
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
  const { text, isBetween } = chatEvents(first, opened.pieces)
  return respondWithStream(app, c, text, { leaving, isEvents: true, isBetween })
}
