import type { Frame } from './readers.ts'

/** Frames of a relay, one by one. Whoever gives up waiting for the next one finds it there when it comes back. */
export type Feed = {
  /** The next one; null: the relay is lost, or has let go. */
  peek(): Promise<Frame | null>
  /** The one that was seen is done with. */
  take(): void
  cancel(): void
}

export function createFeed(frames: ReadableStream<Frame>): Feed {
  const source = frames.getReader()
  let pending: Promise<Frame | null> | null = null
  return {
    peek() {
      pending ??= source.read().then(
        ({ value }) => value ?? null,
        () => null,
      )
      return pending
    },
    take() {
      pending = null
    },
    cancel() {
      source.cancel().catch(() => undefined)
    },
  }
}
