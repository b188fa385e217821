import type { JobHead } from '../protocol/stream.ts'
import { type NewJob, toBody, toJobText } from './body.ts'
import { type CreateOptions, once } from './create.ts'
import { InfernetError } from './error.ts'
import { cancelJob } from './read.ts'
import { isTransient, retryDelayMs } from './retry.ts'
import { sleep } from './sleep.ts'
import { readEvents, type StreamEvent } from './stream-events.ts'
import type { Request, Transport } from './transport.ts'

export type StreamOptions = CreateOptions & {
  /** How long a node that is away is waited for, from the last byte on. */
  patienceMs?: number
}

/**
 * A container's output as it comes: text, in pieces that are whole characters. It goes on by itself after a connection that broke.
 * Leaving the loop early, or aborting, cancels the job. `bytes()` gives the bytes as they are instead. One of the two, once.
 */
export type JobStream = AsyncIterable<string> & {
  bytes(): AsyncGenerator<Uint8Array, void, undefined>
  /** Resolves with the job's id when the node has it. */
  readonly id: Promise<string>
  /**
   * Resolves with the job, without its output, when it has ended as a success and everything was read. Rejects, as `id` does, with what
   * the reading throws, or with `cancelled` when its loop is left before.
   */
  readonly job: Promise<JobHead>
}

const defaultPatienceMs = 60_000
/** A job whose client is cut off runs on for so long, in seconds, unless its request says otherwise. */
const detachSeconds = 60
/** A connection that lasted for so long is not one that breaks again and again. */
const steadyMs = 5_000
/** How long cancelling may take when the loop is left. */
const cancelMs = 5_000

/**
 * Creates a streaming job and reads its output.
 * @throws InfernetError while it is read: a refusal; the code and reason of a job that failed; `unreachable` when the node stays away.
 */
export function stream(transport: Transport, job: NewJob, options: StreamOptions = {}): JobStream {
  const { idempotencyKey, signal } = options
  const detach = job.detach ?? detachSeconds
  const request: Request = {
    method: 'POST',
    path: '/api/jobs/stream',
    body: toBody(toJobText({ ...job, detach })),
    signal,
    ...once(idempotencyKey),
  }
  return createStream(transport, { ...options, begin: request, id: null, from: 0 })
}

/** Reads the output of a streaming job, from an offset on. Leaving the loop early leaves the job alone. */
export function resumeStream(
  transport: Transport,
  id: string,
  { from = 0, ...options }: StreamOptions & { from?: number } = {},
): JobStream {
  return createStream(transport, { ...options, begin: null, id, from })
}

type Reading = StreamOptions & {
  /** Creates the job; null: it is there. */
  begin: Request | null
  id: string | null
  from: number
}

function createStream(transport: Transport, reading: Reading): JobStream {
  const id = Promise.withResolvers<string>()
  const job = Promise.withResolvers<JobHead>()
  for (const { promise } of [id, job]) promise.catch(() => undefined)

  async function* pieces(): AsyncGenerator<StreamEvent & { kind: 'output' }, void, undefined> {
    let isOver = false
    let known: string | null = reading.id
    try {
      for await (const event of follow(transport, reading)) {
        if (event.kind === 'start') {
          known = event.id
          id.resolve(known)
        } else if (event.kind === 'output') yield event
        else if (event.kind === 'failed') throw event.error
        else {
          isOver = true
          job.resolve(event.job)
        }
      }
    } catch (error) {
      // Who aborts wants no more of it either.
      isOver = !reading.signal?.aborted
      id.reject(error)
      job.reject(error)
      throw error
    } finally {
      // Whoever waits for these learns that they will not come.
      for (const { reject } of [id, job]) reject(left())
      if (!isOver && known !== null && reading.begin !== null) await abandon(transport, known)
    }
  }

  return {
    id: id.promise,
    job: job.promise,
    async *[Symbol.asyncIterator]() {
      const decoder = new TextDecoder()
      for await (const { text, bytes } of pieces()) yield text ?? decoder.decode(bytes)
    },
    async *bytes() {
      const encoder = new TextEncoder()
      for await (const { text, bytes } of pieces()) yield text === null ? bytes : encoder.encode(text)
    },
  }
}

function left(): InfernetError {
  return new InfernetError('The stream was left before its end', { status: null, code: 'cancelled' })
}

/** Whoever leaves the loop wants no more of it. The node would find out by itself, some time later. */
async function abandon(transport: Transport, id: string): Promise<void> {
  await cancelJob(transport, id, { signal: AbortSignal.timeout(cancelMs) }).catch(() => undefined)
}

/** Where a reading stands. */
type Place = { id: string | null; offset: number; isTold: boolean; isOver: boolean; failing: Failing | null }
type Failing = { attempt: number; since: number }

/** Events, over as many connections as it takes. */
async function* follow(transport: Transport, reading: Reading): AsyncGenerator<StreamEvent, void, undefined> {
  const { id, from: offset, signal } = reading
  const place: Place = { id, offset, isTold: false, isOver: false, failing: null }
  while (!place.isOver) {
    try {
      yield* connect(transport, reading, place)
    } catch (error) {
      if (signal?.aborted) throw signal.reason
      await sleep(patience(error, reading, place), signal)
    }
  }
}

/** What one connection says. @throws InfernetError when it ends before the stream does. */
async function* connect(
  transport: Transport,
  { begin, signal }: Reading,
  place: Place,
): AsyncGenerator<StreamEvent, void, undefined> {
  const request = place.id === null && begin ? begin : resumption(place, signal)
  const response = await transport.open(asEvents(request))
  // The node is there, and may be asked again soon; but not for ever, if nothing comes.
  if (place.failing !== null) place.failing.attempt = 0
  const openedAt = performance.now()
  try {
    for await (const event of readEvents(response, signal)) {
      if (event.kind === 'output') {
        place.offset = event.end
        place.failing = null
      }
      place.isOver = event.kind === 'completed' || event.kind === 'failed'
      if (event.kind !== 'start' || !place.isTold) yield event
      if (event.kind === 'start') place.id = event.id
      place.isTold = true
      if (place.isOver) return
    }
  } finally {
    if (performance.now() - openedAt > steadyMs) place.failing = null
  }
  throw new InfernetError('The stream broke off', { status: null, code: 'unreachable' })
}

/** Milliseconds until another connection is worth a try. @throws the error when none is. */
function patience(error: unknown, { begin, patienceMs = defaultPatienceMs }: Reading, place: Place): number {
  place.failing ??= { attempt: 0, since: performance.now() }
  const { attempt, since } = place.failing
  place.failing.attempt += 1
  const repeatable = place.id !== null || begin?.repeatable === true
  const waitMs =
    error instanceof InfernetError && isTransient(error) ? retryDelayMs({ error, attempt, repeatable }) : null
  if (waitMs === null || performance.now() + waitMs - since > patienceMs) throw error
  return waitMs
}

function resumption({ id, offset }: Place, signal: AbortSignal | undefined): Request {
  return {
    method: 'GET',
    path: `/api/jobs/${encodeURIComponent(id ?? '')}/stream`,
    headers: { 'last-event-id': String(offset) },
    signal,
    repeatable: true,
  }
}

function asEvents(request: Request): Request {
  return { ...request, headers: { ...request.headers, accept: 'text/event-stream' } }
}
