import type { Context } from 'hono'
import { containersOf } from '../../protocol/container.ts'
import { jobStatus } from '../../protocol/job.ts'
import type { Db } from '../db/open.ts'
import { readParts } from '../jobs/parts.ts'
import type { JobRow } from '../jobs/read.ts'

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

/** The body of `GET /api/jobs/:id`. */
export async function* jobInFull(db: Db, row: JobRow): Pieces {
  const head = {
    id: row.id,
    state: row.state,
    status: jobStatus[row.state],
    containers: containersOf(row.route),
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
  }
  yield `${JSON.stringify(head).slice(0, -1)},"result":`
  yield* result(db, row)
  yield ',"intermediate_results":'
  yield* intermediateResults(db, row)
  yield '}'
}

async function* result(db: Db, row: JobRow): Pieces {
  if (row.result_parts > 0) yield* readParts(db, partsOf(row, 'result', row.result_parts))
  else if (row.result !== null) yield row.result
  else if (row.origin === 'queue' && row.finished_at !== null) {
    // The job ended without its containers: the reference's clients look for the reason here.
    const container = containersOf(row.route)[0] ?? ''
    yield JSON.stringify({ container, error: row.error_message ?? '', code: row.error_code ?? '' })
  } else yield 'null'
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
  return row.result_parts > 0 || row.intermediate_parts > 0
}
