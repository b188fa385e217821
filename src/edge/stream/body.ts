import { sourceOf } from './source.ts'

/** Something that is told to stop, once. */
export type Stop = {
  isStopped(): boolean
  stop(): void
  next<Value>(value: Promise<Value>): Promise<Value | null>
}

export function createStop(): Stop {
  let isStopped = false
  let give: (nothing: null) => void = () => {}
  return {
    isStopped: () => isStopped,
    stop() {
      isStopped = true
      give(null)
    },
    /** The value, or null when it is stopped first. A race would keep something of every value for as long as it is not stopped. */
    next: async value =>
      isStopped
        ? null
        : await new Promise((resolve, reject) => {
            give = resolve
            value.then(resolve, reject)
          }),
  }
}

const pieceBytes = 64 * 1024

/**
 * Hands on a body in pieces of 64 KiB at most, until it ends, breaks off, has been taken for long enough, or is stopped. What is left is
 * left unread: workerd fails the request whose body is cancelled, and it is to be answered.
 */
export async function readPieces(
  body: ReadableStream<Uint8Array>,
  { stop, maxBytes, take }: { stop: Stop; maxBytes: number; take(piece: Uint8Array): Promise<void> },
): Promise<void> {
  const source = sourceOf(body)
  // Whoever sent a body that breaks off comes back and says where it stands; what has come is as good as any.
  const read = () => source.read().catch(() => null)
  for (let left = maxBytes; left > 0 && !stop.isStopped(); ) {
    const piece = await stop.next(read())
    if (piece === null) return
    const value = piece.subarray(0, left)
    for (let at = 0; at < value.byteLength && !stop.isStopped(); at += pieceBytes)
      await take(value.subarray(at, at + pieceBytes))
    left -= value.byteLength
  }
}
