import type { Piece } from '../stream/stored.ts'
import { createWholeEvents } from '../stream/whole-events.ts'
import { goneError } from './job-events.ts'
import { errorOf, failureOf } from './openai-error.ts'

/** As OpenAI's clients read it: the container's events, and an `error` where there is no more of them than came. */
export type ChatEvents = {
  text: AsyncGenerator<string | Uint8Array>
  /** A comment may be said: in the middle of an event it would end it. */
  isBetween(): boolean
}

/** What is kept back of an event. Chunks of a chat have some hundred bytes. */
const eventBytes = 256 * 1024

export function chatEvents(first: Piece, rest: AsyncGenerator<Piece>): ChatEvents {
  const events = createWholeEvents({ maxBytes: eventBytes })

  function said(piece: Piece): string | Uint8Array | null {
    if (piece.kind === 'output') return events.push(piece.bytes)
    const error = errorOfEnd(piece)
    if (error === null) return events.end()
    // What has come of an unfinished event is left out: a client that cannot parse it never gets to the error.
    return `${events.isBetween() ? '' : '\n\n'}data: ${JSON.stringify({ error })}\n\n`
  }

  async function* text(): AsyncGenerator<string | Uint8Array> {
    for (let piece: Piece | null = first; piece; ) {
      const next = said(piece)
      if (next !== null) yield next
      const { done, value } = await rest.next()
      piece = done ? null : value
    }
  }

  return { text: text(), isBetween: events.isBetween }
}

function errorOfEnd(piece: Exclude<Piece, { kind: 'output' }>): ReturnType<typeof errorOf> | null {
  if (piece.kind === 'gone') {
    const { code, error: message } = goneError(piece.why)
    return errorOf(502, { message, code })
  }
  if (piece.row.state === 'success') return null
  const { status, message, code } = failureOf(piece.row)
  return errorOf(status, { message, code })
}
