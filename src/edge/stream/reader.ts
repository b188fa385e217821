import { storedBytesOf } from '../config.ts'
import type { Context as App } from '../context.ts'
import { readOutput } from '../jobs/output.ts'
import { type JobRow, readJobs } from '../jobs/read.ts'
import { describe } from '../log.ts'
import { listenForEnd, type Over, type OverOptions } from './over.ts'
import { pause } from './pause.ts'
import type { Relay } from './relay.ts'

/**
 * A piece of output, which ends at offset `end`; or what became of the job, last of all. `gone`: output that is not stored has passed
 * while this reader was away, the job itself is gone, or there is no room for another reader.
 */
export type Piece =
  | { kind: 'output'; bytes: Uint8Array; end: number }
  | { kind: 'ended'; row: JobRow }
  | { kind: 'gone'; why: 'passed' | 'crowded' | 'lost' }

export type ReaderOptions = OverOptions & {
  from: number
  /** Of the job; see the schema. */
  unreadMs: number | null
  /** For what has to be done after the client has left. */
  background(work: Promise<unknown>): void
}

/** Where a reading stands. `seenOut`: the job has ended, as the database says. */
type Place = {
  offset: number
  row: JobRow | null
  seenOut: boolean
  tailUntil: number | null
  failures: number
}

const pauseMs = { least: 50, most: 1_000 }
/** After the end, what is beyond the stored cap is in the relay for so long. */
const tailMs = 10_000

/**
 * A job's output from an offset on, as it comes, to its end: what is stored from the database, the rest from the relay, as often as
 * either is lost.
 */
export async function* readStream(options: ReaderOptions): AsyncGenerator<Piece> {
  const { app, job, from, isNew, signal } = options
  const key = crypto.randomUUID()
  const relay = app.relays(job.id)
  const place: Place = { offset: from, row: null, seenOut: false, tailUntil: null, failures: 0 }
  const over = listenForEnd(options)
  // Once the client has left, on Workers little more than this may run.
  const leave = () => options.background(relay.leave({ key, isOver: place.seenOut }).catch(() => undefined))
  signal.addEventListener('abort', leave)
  try {
    for (let looked = !isNew; !signal.aborted; looked = true) {
      if (looked && (yield* catchUp(options, place))) return
      if (yield* follow(options, { place, relay, key, over })) return
    }
  } finally {
    signal.removeEventListener('abort', leave)
    over.stop()
    leave()
  }
}

/** What is stored. @returns true after the last piece. */
async function* catchUp({ app, job }: ReaderOptions, place: Place): AsyncGenerator<Piece, boolean> {
  const [row] = await readJobs(app.db, { owner: job.owner, ids: [job.id] })
  if (!row) {
    yield { kind: 'gone', why: 'lost' }
    return true
  }
  place.row = row
  const { id, attempt, stream_bytes: to, stream_total: total } = row
  for await (const bytes of readOutput(app.db, { id, attempt, from: place.offset, to })) {
    place.offset += bytes.byteLength
    yield { kind: 'output', bytes, end: place.offset }
  }
  place.seenOut = row.finished_at !== null
  if (!place.seenOut) return false
  place.tailUntil ??= app.now() + tailMs
  const isWhole = place.offset >= (total ?? to)
  if (!isWhole && app.now() < place.tailUntil) return false
  yield isWhole ? { kind: 'ended', row } : { kind: 'gone', why: 'lost' }
  return true
}

type Following = { place: Place; relay: Relay; key: string; over: Over }

/** What comes, until there is news in the database. @returns true after the last piece. */
async function* follow(
  { app, job, unreadMs, signal }: ReaderOptions,
  { place, relay, key, over }: Following,
): AsyncGenerator<Piece, boolean> {
  const before = place.offset
  const closed = { cleanly: false }
  try {
    const body = await relay.read({ key, from: before, unreadMs })
    if (body === null) {
      yield { kind: 'gone', why: 'crowded' }
      return true
    }
    // After the end, only what is left in the relay is waited for, and not for long.
    for await (const bytes of pump(body, { over: place.seenOut ? null : over, signal, closed })) {
      place.offset += bytes.byteLength
      yield { kind: 'output', bytes, end: place.offset }
    }
  } catch (error) {
    app.log.warn('A relay was lost', { job: job.id, error: describe(error) })
  }
  if (place.offset > before) place.failures = 0
  else if (!over.isOver() || place.seenOut) {
    // Twice: the first time the relay may have known of more than the row that was read before.
    if (closed.cleanly && place.failures > 0 && isPassed(app, place)) {
      yield { kind: 'gone', why: 'passed' }
      return true
    }
    await pause(Math.min(pauseMs.least * 2 ** place.failures, pauseMs.most), signal)
    place.failures += 1
  }
  return false
}

/** Beyond what is stored, the relay has no more of it either. */
function isPassed({ config }: App, { row, offset }: Place): boolean {
  return row !== null && offset >= row.stream_bytes && row.stream_bytes >= storedBytesOf(config)
}

type Pumping = { over: Over | null; signal: AbortSignal; closed: { cleanly: boolean } }

/** What a relay sends, until it stops, or there is nothing more to wait for. @throws when the relay is lost. */
async function* pump(
  body: ReadableStream<Uint8Array>,
  { over, signal, closed }: Pumping,
): AsyncGenerator<Uint8Array> {
  const source = body.getReader()
  let isCut = false
  const cut = () => {
    isCut = true
    source.cancel().catch(() => undefined)
  }
  const forget = over?.onOver(cut)
  const timer = over === null ? setTimeout(cut, tailMs) : undefined
  signal.addEventListener('abort', cut)
  try {
    for (;;) {
      const { done, value } = await source.read()
      if (done) {
        closed.cleanly = !isCut
        return
      }
      yield value
    }
  } catch (error) {
    if (!isCut) throw error
  } finally {
    clearTimeout(timer)
    forget?.()
    signal.removeEventListener('abort', cut)
    cut()
  }
}
