import type { Frame } from './readers.ts'

/** Frames of a relay, one by one. Whoever gives up waiting for the next one finds it there when it comes back. */
export type Feed = {
  /** The next one; null: the relay is lost, or has let go. */
  peek(): Promise<Frame | null>
  /** Somebody does, and will see when the relay is lost. */
  isWaiting(): boolean
  /** These follow, when no more of the others come. */
  goOn(frames: ReadableStream<Frame>): void
  /** The one that was seen is done with. */
  take(): void
  cancel(): void
}

export function createFeed(frames: ReadableStream<Frame>): Feed {
  let source = frames.getReader()
  let following: typeof source | null = null
  let pending: Promise<Frame | null> | null = null
  let isWaiting = false

  const read = () =>
    source.read().then(
      ({ value }) => value ?? null,
      () => null,
    )

  async function next(): Promise<Frame | null> {
    isWaiting = true
    let frame = await read()
    for (; frame === null && following !== null; frame = await read()) {
      source = following
      following = null
    }
    isWaiting = false
    return frame
  }

  return {
    peek() {
      pending ??= next()
      return pending
    },
    isWaiting: () => isWaiting,
    goOn(others) {
      following?.cancel().catch(() => undefined)
      following = others.getReader()
    },
    take() {
      pending = null
    },
    cancel() {
      for (const each of [source, following]) each?.cancel().catch(() => undefined)
    },
  }
}
