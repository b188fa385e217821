import type { Context } from 'hono'
import type { Ends } from '../bell/ends.ts'
import type { Context as App } from '../context.ts'
import type { Piece } from '../stream/stored.ts'
import { chatEvents } from './chat-events.ts'
import { goneError } from './job-events.ts'
import type { Leaving } from './leaving.ts'
import { failureError } from './openai-error.ts'
import { closes, refuse } from './refuse.ts'
import { type Opening, openReading, respondWithStream } from './stream-opening.ts'

/** The container's events as they come. Nothing is answered before the first, so that what goes wrong until then has a status. */
export async function openAiStream(app: App, ends: Ends, c: Context, opening: Opening): Promise<Response> {
  const { leaving, opened } = await openReading(app, ends, c, opening)
  if ('why' in opened) return refuse(c, goneError(opened.why))
  const first = await firstOf(opened.pieces, leaving)
  const refusal = refusalOf(c, first)
  if (refusal) {
    leaving.forget()
    // Else its place at the relay would be kept.
    await opened.pieces.return(undefined)
    return refusal
  }
  const { text, isBetween } = chatEvents(first, opened.pieces)
  return respondWithStream(app, c, text, { leaving, isEvents: true, isBetween })
}

const lost: Piece = { kind: 'gone', why: 'lost' }

/** @throws RefusalError when the host closes. Nobody hears it where the client has left. */
async function firstOf(pieces: AsyncGenerator<Piece>, leaving: Leaving): Promise<Piece> {
  try {
    return (await pieces.next()).value ?? lost
  } catch (error) {
    leaving.forget()
    throw leaving.signal.aborted ? closes() : error
  }
}

/** null: there is something to be streamed, if only an end. */
function refusalOf(c: Context, first: Piece): Response | null {
  if (first.kind === 'gone') return refuse(c, goneError(first.why))
  return first.kind === 'ended' && first.row.state !== 'success' ? failureError(c, first.row) : null
}
