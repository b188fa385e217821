import type { Context as App } from '../context.ts'
import { createFeed, type Feed } from './feed.ts'

/** A reader's place at the relay of its job. */
export type Seat = {
  feed(): Feed | null
  /** Takes it, or takes it again. null: the relay has too many readers. @throws when the relay is lost. */
  take(from: number): Promise<Feed | null>
  /** The relay is lost. */
  lose(): void
  /** It has seen the job's end. */
  sawEnd(): void
  leave(): void
}

export type SeatOptions = {
  app: App
  job: { id: string }
  /** Of the job; see the schema. */
  unreadMs: number | null
  /** Aborts when the client leaves. */
  signal: AbortSignal
  /** For what has to be done after the client has left. */
  background(work: Promise<unknown>): void
}

export function createSeat({ app, job, unreadMs, signal, background }: SeatOptions): Seat {
  const key = crypto.randomUUID()
  let feed: Feed | null = null
  let isOver = false
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
        .leave({ key, isOver, unreadMs })
        .catch(() => undefined),
    )
  }
  signal.addEventListener('abort', leave)

  return {
    feed: () => feed,
    async take(from) {
      feed?.cancel()
      feed = null
      const frames = await app.relays(job.id).read({ key, from, unreadMs })
      if (frames === null) return null
      feed = createFeed(frames)
      if (hasLeft) feed.cancel()
      return feed
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
