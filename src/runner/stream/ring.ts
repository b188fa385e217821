/** The last bytes of a stream, in memory. */
export type Ring = {
  push(bytes: Uint8Array): void
  /** Copies bytes from an offset of the stream on, as many as there are and have room; null when they are not here any more. */
  read(at: number, into: Uint8Array): Uint8Array | null
}

export function createRing(size: number): Ring {
  const buffer = Buffer.allocUnsafe(size)
  let end = 0

  return {
    push(bytes) {
      const kept = bytes.subarray(Math.max(0, bytes.length - size))
      const at = (end + bytes.length - kept.length) % size
      const first = kept.subarray(0, size - at)
      buffer.set(first, at)
      buffer.set(kept.subarray(first.length), 0)
      end += bytes.length
    },
    read(at, into) {
      if (at < end - size || at > end) return null
      const bytes = into.subarray(0, end - at)
      const from = at % size
      const copied = buffer.copy(bytes, 0, from, Math.min(size, from + bytes.length))
      buffer.copy(bytes, copied, 0, bytes.length - copied)
      return bytes
    },
  }
}
