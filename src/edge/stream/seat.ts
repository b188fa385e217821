import type { Context as App } from '../context.ts'
import { createFeed, type Feed } from './feed.ts'

/** A reader's place at the relay of its job. */
export type Seat = {
  feed(): Feed | null
  /** Takes it, or takes it again. null: the relay has too many readers. @throws when the relay is lost. */
  take(from: number): Promise<Feed | null>
  /**
   * Takes it at the next relay if the last one is lost: whoever serves what is stored, or is held by its client, asks none for a frame
   * meanwhile, and would not notice. What has come of the last one comes first.
   */
  keep(from: number): void
  /** The relay is lost. */
  lose(): void
  /** It has seen the job's end. */
  sawEnd(): void
  leave(): void
}

export type SeatOptions = {
  app: App
  job: { id: string }
  /** Made a moment ago by this request. */
  isNew: boolean
  /** Of the job; see the schema. */
  unreadMs: number | null
  /** As of `OverOptions`: null where the job has been found running. */
  expiresAt: number | null
  /** Aborts when the client leaves. */
  signal: AbortSignal
  /** For what has to be done after the client has left. */
  background(work: Promise<unknown>): void
}

export function createSeat(options: SeatOptions): Seat {
  const { app, job, isNew, unreadMs, expiresAt, signal, background } = options
  const key = crypto.randomUUID()
  let feed: Feed | null = null
  let isOver = false
  let hasSat = false
  let hasLeft = false

  // Once the client has left, on Workers little more than this runs.
  function leave(): void {
    if (hasLeft) return
    hasLeft = true
    signal.removeEventListener('abort', leave)
    feed?.cancel()
    background(
      app
        .relays(job.id)
        .leave({ key, isFirst: isNew && !hasSat, hasSat, isOver, unreadMs })
        .catch(() => undefined),
    )
  }
  signal.addEventListener('abort', leave)
  // Who has left already is told of by nothing else.
  if (signal.aborted) leave()

  const readingFrom = (from: number) => ({ key, from, mayFollow: hasSat || expiresAt === null, unreadMs })

  async function sitAgain(from: number): Promise<void> {
    const mine = feed
    if (hasLeft || mine?.isWaiting()) return
    const frames = await app.relays(job.id).keep(readingFrom(from))
    // A seat that was taken meanwhile has the key.
    if (frames === null || frames === 'there' || feed !== mine) return
    hasSat = true
    if (mine) mine.goOn(frames)
    else feed = createFeed(frames)
    if (hasLeft) feed?.cancel()
  }

  return {
    feed: () => feed,
    async take(from) {
      feed?.cancel()
      feed = null
      const frames = await app.relays(job.id).read(readingFrom(from))
      if (frames === null) return null
      hasSat = true
      feed = createFeed(frames)
      if (hasLeft) feed.cancel()
      return feed
    },
    keep(from) {
      // A relay that misses it calls again.
      sitAgain(from).catch(() => undefined)
    },
    lose() {
      feed?.cancel()
      feed = null
    },
    sawEnd() {
      isOver = true
    },
    leave,
  }
}
