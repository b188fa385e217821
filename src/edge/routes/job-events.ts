import { lastEventId } from '../../protocol/stream.ts'
import type { Piece, Why } from '../stream/stored.ts'
import { createText } from '../stream/text.ts'
import { toBase64 } from './base64.ts'
import { headOf } from './render.ts'

/** Output of one event at most, so that it gets through connections that keep breaking. */
const eventBytes = 16 * 1024

/**
 * A stream as server-sent events: `start`; `output`, whose id is the offset that it ends at; then `completed` or `error`. Output that is
 * not UTF-8 is in base64. A character that is not whole yet waits for the rest of it.
 */
export async function* events(
  pieces: AsyncGenerator<Piece>,
  { id, container }: { id: string; container: string },
): AsyncGenerator<string> {
  const text = createText()
  yield event('start', { id, container })
  for await (const piece of pieces) {
    if (piece.kind === 'output') {
      const begin = piece.end - piece.bytes.byteLength
      for (let at = 0; at < piece.bytes.byteLength; at += eventBytes) {
        const part = piece.bytes.subarray(at, at + eventBytes)
        const said = text.push(part)
        yield* output(said, begin + at + part.byteLength - text.held())
      }
      continue
    }
    const end = piece.kind === 'ended' ? text.end() : null
    if (end !== null && piece.kind === 'ended')
      yield* output(end, piece.row.stream_total ?? piece.row.stream_bytes)
    yield last(piece)
  }
}

function* output(said: string | Uint8Array | null, end: number): Generator<string> {
  if (said === null) return
  yield event('output', typeof said === 'string' ? { text: said } : { base64: toBase64(said) }, String(end))
}

function last(piece: Exclude<Piece, { kind: 'output' }>): string {
  if (piece.kind === 'gone') return event('error', { ...goneError(piece.why), job: null })
  const job = headOf(piece.row)
  if (job.state === 'success') return event('completed', job, lastEventId)
  return event(
    'error',
    { code: job.error?.code ?? job.state, error: job.error?.message ?? job.state, job },
    lastEventId,
  )
}

/** What a reader is told that cannot be given what it lacks. */
export function goneError(why: Why) {
  switch (why) {
    case 'passed':
      return { code: 'output_gone', error: 'The output from here on is not kept, and has passed' } as const
    case 'beyond':
      return { code: 'invalid_request', error: 'The stream has fewer bytes' } as const
    case 'crowded':
      return { code: 'too_many_readers', error: 'Too many read this stream already' } as const
    case 'lost':
      return { code: 'output_gone', error: 'The rest of the output is lost' } as const
  }
}

function event(name: string, data: unknown, id?: string): string {
  return `event: ${name}\n${id === undefined ? '' : `id: ${id}\n`}data: ${JSON.stringify(data)}\n\n`
}
