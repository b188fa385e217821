import { type EventSourceMessage, EventSourceParserStream } from 'eventsource-parser/stream'
import * as v from 'valibot'
import {
  type JobHead,
  JobHead as JobHeadSchema,
  StreamError,
  StreamOutputEvent,
  StreamStart,
} from '../protocol/stream.ts'
import { InfernetError } from './error.ts'

/** What a stream says. `end`: the offset that a piece of output ends at. `failed`: the job, or what is left of its output. */
export type StreamEvent =
  | { kind: 'start'; id: string; container: string }
  | { kind: 'output'; text: string; bytes: null; end: number }
  | { kind: 'output'; text: null; bytes: Uint8Array; end: number }
  | { kind: 'completed'; job: JobHead }
  | { kind: 'failed'; error: InfernetError }

/** The node says something at least each 15 s. */
const silenceMs = 45_000

/**
 * Reads the events of one answer.
 * @throws InfernetError `unreachable` when the connection breaks or is silent; `bad_answer`.
 */
export async function* readEvents(
  response: Response,
  signal: AbortSignal | undefined,
): AsyncGenerator<StreamEvent, void, undefined> {
  const { body, headers } = response
  if (!body || !/^text\/event-stream\b/.test(headers.get('content-type') ?? ''))
    throw badEvent('it is no stream of events')
  let heardAt = performance.now()
  const heard = () => {
    heardAt = performance.now()
  }
  const source = body
    .pipeThrough(new TextDecoderStream())
    .pipeThrough(new EventSourceParserStream({ onComment: heard }))
    .getReader()
  // In the background, since comments resolve no read.
  const watch = setInterval(() => {
    if (performance.now() - heardAt > silenceMs) source.cancel().catch(() => undefined)
  }, silenceMs / 10)
  try {
    for (;;) {
      const { done, value } = await source.read()
      heard()
      if (done) return
      const event = toEvent(value)
      if (event) yield event
    }
  } catch (cause) {
    if (signal?.aborted) throw signal.reason
    throw cause instanceof InfernetError ? cause : brokenOff(cause)
  } finally {
    clearInterval(watch)
    source.cancel().catch(() => undefined)
  }
}

function toEvent({ event, id, data }: EventSourceMessage): StreamEvent | null {
  switch (event) {
    case 'start':
      return { kind: 'start', ...parseData(StreamStart, data) }
    case 'output': {
      const said = parseData(StreamOutputEvent, data)
      const end = /^\d{1,15}$/.test(id ?? '') ? Number(id) : null
      if (end === null) throw badEvent('output without an offset')
      return 'text' in said
        ? { kind: 'output', text: said.text, bytes: null, end }
        : { kind: 'output', text: null, bytes: fromBase64(said.base64), end }
    }
    case 'completed':
      return { kind: 'completed', job: parseData(JobHeadSchema, data) }
    case 'error': {
      const { code, error, job } = parseData(StreamError, data)
      const params = job ? { id: job.id, state: job.state } : {}
      return { kind: 'failed', error: new InfernetError(error, { status: null, code, params }) }
    }
    default:
      return null
  }
}

function parseData<Schema extends v.GenericSchema>(schema: Schema, data: string): v.InferOutput<Schema> {
  const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), schema), data)
  if (parsed.success) return parsed.output as v.InferOutput<Schema>
  throw badEvent('an event that the protocol does not know')
}

/** @throws InfernetError `bad_answer`. */
function fromBase64(text: string): Uint8Array {
  try {
    return Uint8Array.from(atob(text), character => character.charCodeAt(0))
  } catch {
    throw badEvent('output that is not base64')
  }
}

function badEvent(what: string): InfernetError {
  return new InfernetError(`The stream is not the protocol's: ${what}`, { status: null, code: 'bad_answer' })
}

function brokenOff(cause: unknown): InfernetError {
  return new InfernetError('The stream broke off', { status: null, code: 'unreachable', cause })
}
