import type { Context } from 'hono'
import { containersOf, type Images, requiresOf } from '../../protocol/container.ts'
import { destination, jobStatus, type Waiting } from '../../protocol/job.ts'
import { limits } from '../../protocol/limits.ts'
import type { DeliveryRow } from '../chain/view/read.ts'
import { deliveryView } from '../chain/view/view.ts'
import type { Db } from '../db/open.ts'
import { readOutput } from '../jobs/output.ts'
import { readParts } from '../jobs/parts.ts'
import type { JobRow } from '../jobs/read.ts'
import { isUtf8 } from '../stream/text.ts'
import { toBase64 } from './base64.ts'

/** JSON text in pieces: what containers said goes through verbatim, never parsed and written again. */
type Pieces = AsyncGenerator<string | Uint8Array>

/** An element of `GET /api/jobs?id=`, in the reference's fields. */
export async function* jobResult(db: Db, row: JobRow, { intermediate }: { intermediate: boolean }): Pieces {
  yield `{"id":${JSON.stringify(row.id)},"status":"${jobStatus[row.state]}","result":`
  yield* result(db, row)
  if (intermediate) {
    yield ',"intermediate_results":'
    yield* intermediateResults(db, row)
  }
  yield '}'
}

/** `asked`: what a job computes for, where a chain has asked. `waiting`: why it waits. */
export type Beside = { asked?: (DeliveryRow & { chain: number }) | null; waiting?: Waiting | null }

/** The body of `GET /api/jobs/:id`. */
export async function* jobInFull(db: Db, row: JobRow, { asked, waiting }: Beside = {}): Pieces {
  const head = {
    ...headOf(row),
    ...(waiting && { waiting }),
    ...(asked && { subscription: subscriptionOf(asked) }),
  }
  yield `${JSON.stringify(head).slice(0, -1)},"result":`
  yield* result(db, row)
  yield ',"intermediate_results":'
  yield* intermediateResults(db, row)
  yield '}'
}

function subscriptionOf(asked: DeliveryRow & { chain: number }) {
  // Below 0 the chain has none yet.
  const id = asked.subscription > 0 ? asked.subscription : null
  return { chain: asked.chain, id, delivery: deliveryView(asked) }
}

/** A job without what its containers said. */
export function headOf(row: JobRow) {
  const requires = requiresOf(row.route)
  return {
    id: row.id,
    state: row.state,
    status: jobStatus[row.state],
    containers: containersOf(row.route),
    ...(requires && { requires }),
    requires_proof: row.requires_proof === 1,
    attempt: row.attempt,
    tries: row.tries,
    runner: row.runner,
    created_at: time(row.created_at),
    expires_at: time(row.expires_at),
    claimed_at: time(row.claimed_at),
    started_at: time(row.started_at),
    // A status written by hand has a time even while it is `running`: that of its writing.
    finished_at: isPending(row) ? null : time(row.finished_at),
    error:
      row.error_code === null ? null : { code: row.error_code, message: row.error_message ?? row.error_code },
    ...(row.images !== null && { images: JSON.parse(row.images) as Images }),
    ...(isStream(row) && {
      stream: { bytes: outputBytes(row), truncated: outputBytes(row) > row.stream_bytes },
    }),
  }
}

export function isStream({ destination: to }: JobRow): boolean {
  return to === destination.stream
}

/** Of a stream, as far as it is known. */
export function outputBytes({ stream_bytes, stream_total }: JobRow): number {
  return Math.max(stream_bytes, stream_total ?? 0)
}

async function* result(db: Db, row: JobRow): Pieces {
  if (row.result_parts > 0) yield* readParts(db, partsOf(row, 'result', row.result_parts))
  else if (isStream(row) && !isPending(row)) yield* streamResult(db, row)
  else if (row.result !== null) yield row.result
  else if (row.origin === 'queue' && row.finished_at !== null) {
    yield JSON.stringify(endOf(row))
  } else yield 'null'
}

/** What the last container of a successful job said, by itself: as runners write it, what is around it is known to the byte. */
export async function* outputOf(db: Db, row: JobRow): Pieces {
  const head = `{"container":${JSON.stringify(containersOf(row.route).at(-1))},"output":`
  if (row.result_parts === 0) {
    const said = row.result ?? '{}'
    yield said.startsWith(head)
      ? said.slice(head.length, -1)
      : JSON.stringify((JSON.parse(said) as { output?: unknown }).output ?? null)
    return
  }
  let before = head.length
  let left = row.result_bytes - head.length - 1
  for await (const piece of readParts(db, partsOf(row, 'result', row.result_parts))) {
    const wanted = piece.subarray(before, before + left)
    before = Math.max(0, before - piece.byteLength)
    left -= wanted.byteLength
    yield wanted
  }
}

/** As the reference stores it: the whole output as text. What ended early has its reason beside it. */
async function* streamResult(db: Db, row: JobRow): Pieces {
  const said = row.result ?? JSON.stringify(endOf(row))
  if (row.state !== 'success' && row.stream_bytes === 0) return yield said
  yield `${said.slice(0, said.lastIndexOf('}'))},"output":`
  const read = () => readOutput(db, { id: row.id, attempt: row.attempt, from: 0, to: row.stream_bytes })
  // Of what ended without its runner's word, nobody has said yet.
  const isText = row.stream_text === null ? await isUtf8(read()) : row.stream_text === 1
  yield* isText ? asText(read()) : inBase64(read())
  yield '}'
}

async function* asText(bytes: AsyncGenerator<Uint8Array>): Pieces {
  const text = new TextDecoder('utf-8', { fatal: false, ignoreBOM: true })
  yield '{"output":"'
  for await (const piece of bytes) yield escaped(text.decode(piece, { stream: true }))
  yield `${escaped(text.decode())}"}`
}

function escaped(text: string): string {
  return JSON.stringify(text).slice(1, -1)
}

async function* inBase64(bytes: AsyncGenerator<Uint8Array>): Pieces {
  let left = new Uint8Array(0)
  yield '{"output":"'
  for await (const piece of bytes) {
    const whole = new Uint8Array(left.byteLength + piece.byteLength)
    whole.set(left)
    whole.set(piece, left.byteLength)
    // Three bytes are four characters: what is left over begins the next piece.
    const cut = whole.byteLength - (whole.byteLength % 3)
    left = whole.slice(cut)
    yield toBase64(whole.subarray(0, cut))
  }
  yield `${toBase64(left)}","encoding":"base64"}`
}

/** The job ended without its containers: the reference's clients look for the reason here. */
function endOf(row: JobRow) {
  const container = containersOf(row.route)[0] ?? ''
  return { container, error: row.error_message ?? '', code: row.error_code ?? '' }
}

async function* intermediateResults(db: Db, row: JobRow): Pieces {
  if (row.intermediate_parts > 0) yield* readParts(db, partsOf(row, 'intermediate', row.intermediate_parts))
  else yield row.intermediate ?? '[]'
}

function partsOf({ id, attempt }: JobRow, kind: 'result' | 'intermediate', parts: number) {
  return { id, kind, attempt, parts }
}

function time(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString()
}

export async function* list(elements: Iterable<Pieces>): Pieces {
  let separator = '['
  for (const element of elements) {
    yield separator
    yield* element
    separator = ','
  }
  yield separator === '[' ? '[]' : ']'
}

const encoder = new TextEncoder()

/** A JSON response from pieces: in one go when all of them are at hand, else as they are read. */
export async function respond(
  c: Context,
  pieces: Pieces,
  { streamed }: { streamed: boolean },
): Promise<Response> {
  const headers = { 'content-type': 'application/json' }
  if (streamed) return c.body(toStream(pieces), 200, headers)
  let text = ''
  for await (const piece of pieces) text += piece
  return c.body(text, 200, headers)
}

/** Reads the next piece only when the client has room for it. */
export function toStream(pieces: AsyncGenerator<string | Uint8Array>): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { done, value } = await pieces.next()
      if (done) controller.close()
      else controller.enqueue(typeof value === 'string' ? encoder.encode(value) : value)
    },
    async cancel() {
      await pieces.return(undefined)
    },
  })
}

export function isPending({ state }: JobRow): boolean {
  return jobStatus[state] === 'running'
}

export function isInParts(row: JobRow): boolean {
  return row.result_parts > 0 || row.intermediate_parts > 0 || row.stream_bytes > limits.inlineBytes
}
