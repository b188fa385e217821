import type { Window } from './window.ts'

/** Output from `offset` on. What is between the last frame and this one is to be had from the database. No bytes: it goes on here. */
export type Frame = { offset: number; bytes: Uint8Array }

/** Who reads a stream, and how far each has come. */
export type Readers = {
  count(): number
  has(key: string): boolean
  slowest(): number
  fastest(): number
  /** A reading from an offset on, or from where the window begins. Its first frame comes at once, and says where. */
  open(key: string, from: number): ReadableStream<Frame>
  /** @returns false when there is no such reading. */
  close(key: string): boolean
  /** There is more to read, or the window begins elsewhere. */
  wake(): void
}

export type ReadersOptions = {
  window: Window
  /** The end of what may be read. */
  released(): number
  /** A reader has come on. */
  onMove(): void
  onLeave(): void
}

type Reader = { pos: number; isClosed: boolean; wake(): void }

const frameBytes = 64 * 1024
const nothing = new Uint8Array(0)

export function createReaders({ window, released, onMove, onLeave }: ReadersOptions): Readers {
  const readers = new Map<string, Reader>()
  const positions = () => [...readers.values()].map(({ pos }) => pos)

  function close(key: string): boolean {
    const reader = readers.get(key)
    if (reader === undefined) return false
    readers.delete(key)
    reader.isClosed = true
    reader.wake()
    onLeave()
    return true
  }

  /** What a reader is to be given next; null: nothing yet. */
  function next(reader: Reader, isTold: boolean): Frame | null {
    const offset = Math.max(reader.pos, window.base())
    const end = Math.min(released(), offset + frameBytes)
    if (end <= offset) return isTold && offset === reader.pos ? null : { offset, bytes: nothing }
    return { offset, bytes: window.slice(offset, end) }
  }

  return {
    count: () => readers.size,
    has: key => readers.has(key),
    slowest: () => Math.min(...positions()),
    fastest: () => Math.max(...positions()),
    open(key, from) {
      const reader: Reader = { pos: from, isClosed: false, wake() {} }
      readers.set(key, reader)
      let isTold = false
      return new ReadableStream<Frame>(
        {
          async pull(controller) {
            let frame = next(reader, isTold)
            for (; frame === null && !reader.isClosed; frame = next(reader, isTold))
              await new Promise<void>(resolve => {
                reader.wake = resolve
              })
            if (reader.isClosed || frame === null) return closeQuietly(controller)
            isTold = true
            reader.pos = frame.offset + frame.bytes.byteLength
            controller.enqueue(frame)
            onMove()
          },
          cancel() {
            if (readers.get(key) === reader) close(key)
          },
        },
        { highWaterMark: 0 },
      )
    },
    close,
    wake() {
      for (const reader of readers.values()) reader.wake()
    },
  }
}

/** A stream that its reader has cancelled is closed already. */
function closeQuietly(controller: ReadableStreamDefaultController<Frame>): void {
  try {
    controller.close()
  } catch {}
}
