import { storedBytesOf } from '../config.ts'
import type { JobRow } from '../jobs/read.ts'
import { within } from '../within.ts'
import { createStop } from './body.ts'
import type { Feed } from './feed.ts'
import { listenForEnd, type Over, type OverOptions } from './over.ts'
import { createPatience, type Patience } from './patience.ts'
import { pause } from './pause.ts'
import type { Frame } from './readers.ts'
import { createSeat, type Seat, type SeatOptions } from './seat.ts'
import { lookAt, type Piece, type Place, readStored, type StoredOptions, type Why } from './stored.ts'

export type ReaderOptions = OverOptions & SeatOptions & { job: { id: string; owner: string }; from: number }

/** A refusal, as long as nothing has been given to anybody; else the stream. */
export type Opened = { why: Why } | { pieces: AsyncGenerator<Piece> }

/**
 * A new job's seat is taken this much later. The answer to the runner's claim comes with the client's, and the isolate's one thread has to
 * pass it on: the runner needs longer than this for the first byte.
 */
const settleMs = 1
/** After the end, what is beyond the stored cap may take so long to come. */
const tailMs = 10_000
/** A relay that was there for so long is not one that is lost again and again. */
const steadyMs = 5_000
/** How long a relay may take to say where it stands. */
const firstMs = 5_000

/** A job that has ended, from an offset on: nothing but the database is asked. */
export async function* readEnded(
  options: StoredOptions & { from: number },
  row: JobRow,
): AsyncGenerator<Piece> {
  const place = { offset: options.from }
  const patience = createPatience({ ...options.app, signal: options.signal })
  yield* readStored(options, { place, row, to: row.stream_bytes, patience })
  yield place.offset >= totalOf(row) ? { kind: 'ended', row } : { kind: 'gone', why: 'passed' }
}

/**
 * A job's output from an offset on, as it comes, to its end: what is stored from the database, the rest from the relay, as often as
 * either is lost. A reader sits at the relay from the beginning, so that it is known to be there while it reads what is stored.
 */
export async function openStream(options: ReaderOptions): Promise<Opened> {
  const { app, from, isNew } = options
  const seat = createSeat(options)
  if (isNew) return { pieces: readStream(options, seat) }
  const why = await refusalOf(seat, { from, storedBytes: storedBytesOf(app.config) })
  if (why === null) return { pieces: readStream(options, seat) }
  seat.leave()
  return { why }
}

async function refusalOf(
  seat: Seat,
  { from, storedBytes }: { from: number; storedBytes: number },
): Promise<Why | null> {
  try {
    const feed = await seat.take(from)
    if (feed === null) return 'crowded'
    const first = from < storedBytes ? null : await within(feed.peek(), firstMs)
    return first !== null && first.offset > from ? 'passed' : null
  } catch {
    // The relay is lost: whoever reads takes a seat again.
    return null
  }
}

/** `patience`: with the database; `relayPatience`: with relays. */
type Running = { place: Place; seat: Seat; over: Over; patience: Patience; relayPatience: Patience }

async function* readStream(options: ReaderOptions, seat: Seat): AsyncGenerator<Piece> {
  const { app, from, isNew, signal } = options
  const place = { offset: from }
  const running = {
    place,
    seat,
    over: listenForEnd(options, () => seat.keep(place.offset)),
    patience: createPatience({ ...app, signal }),
    relayPatience: createPatience({ ...app, signal }),
  }
  try {
    if (isNew) await pause(settleMs, signal)
    for (let isFresh = isNew; !signal.aborted; isFresh = false) {
      const feed = await sit(running)
      if (feed === 'crowded') return yield { kind: 'gone', why: 'crowded' }
      const row = isFresh ? null : await lookAt(options, running.patience)
      if (row === null && !isFresh) return yield { kind: 'gone', why: 'lost' }
      if (row !== null) {
        yield* readStored(options, { place, row, to: row.stream_bytes, patience: running.patience })
        if (row.finished_at !== null) return yield* readTail(running, row)
      }
      if (feed === null) continue
      const why = yield* follow(options, { ...running, feed })
      if (why !== null) return yield { kind: 'gone', why }
    }
    throw signal.reason
  } finally {
    running.over.stop()
    seat.leave()
  }
}

/** null: the relay is lost, once more. */
async function sit({ seat, place, relayPatience }: Running): Promise<Feed | 'crowded' | null> {
  try {
    return seat.feed() ?? (await seat.take(place.offset)) ?? 'crowded'
  } catch (error) {
    await relayPatience.failed(error)
    return null
  }
}

/** What comes, until the job is over, or the relay is lost. @returns why there is no more. */
async function* follow(
  options: ReaderOptions,
  { feed, ...running }: Running & { feed: Feed },
): AsyncGenerator<Piece, Why | null> {
  const { place, seat, over, relayPatience } = running
  const news = createStop()
  const forget = over.onOver(news.stop)
  options.signal.addEventListener('abort', news.stop)
  const began = { offset: place.offset, at: options.app.now() }
  try {
    for (;;) {
      const frame = await news.next(feed.peek())
      if (news.isStopped()) return null
      if (frame !== null) {
        feed.take()
        const why = yield* deliver(options, running, frame)
        if (place.offset > began.offset) over.begin()
        if (why === null) continue
        if (why !== 'lost') return why
      }
      seat.lose()
      if (place.offset > began.offset || options.app.now() - began.at > steadyMs) relayPatience.succeeded()
      await relayPatience.failed(new Error('The relay was lost'))
      return null
    }
  } finally {
    forget()
    options.signal.removeEventListener('abort', news.stop)
  }
}

/** A frame, and what it has left out. @returns why that cannot be had: `lost` when the relay knows of more than there is. */
async function* deliver(
  options: ReaderOptions,
  { place, patience }: Running,
  { offset, bytes }: Frame,
): AsyncGenerator<Piece, Why | null> {
  if (offset > place.offset) {
    const row = await lookAt(options, patience)
    if (row === null) return null
    yield* readStored(options, { place, row, to: Math.min(row.stream_bytes, offset), patience })
    if (place.offset < offset)
      return row.stream_bytes >= storedBytesOf(options.app.config) ? 'passed' : 'lost'
  }
  yield* fresh(place, { offset, bytes })
  return null
}

function* fresh(place: Place, { offset, bytes }: Frame): Generator<Piece> {
  const rest = bytes.subarray(place.offset - offset)
  if (rest.byteLength === 0) return
  place.offset += rest.byteLength
  yield { kind: 'output', bytes: rest, end: place.offset }
}

/** What has passed the relay but is stored nowhere, and then what became of the job. */
async function* readTail({ place, seat }: Running, row: JobRow): AsyncGenerator<Piece> {
  seat.sawEnd()
  if (isBeyond(place, row)) return yield { kind: 'gone', why: 'beyond' }
  while (place.offset < totalOf(row)) {
    const feed = seat.feed()
    const frame = feed && (await within(feed.peek(), tailMs))
    if (!frame || frame.offset > place.offset) return yield { kind: 'gone', why: 'passed' }
    feed.take()
    yield* fresh(place, frame)
  }
  yield { kind: 'ended', row }
}

/** Where the whole length is not known, as of a job whose runner is gone, it may have been seen before it could be stored. */
function isBeyond({ offset }: Place, { stream_total, stream_bytes }: JobRow): boolean {
  return stream_total !== null && offset > Math.max(stream_total, stream_bytes)
}

function totalOf({ stream_total, stream_bytes }: JobRow): number {
  return stream_total ?? stream_bytes
}
