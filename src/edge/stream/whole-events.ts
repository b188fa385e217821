/** Server-sent events out of bytes that are cut anywhere, so that what is said beside them does not stand in the middle of one. */
export type WholeEvents = {
  /** What has come up to the end of an event; null: no event has ended. One beyond the bound is handed on as it comes. */
  push(bytes: Uint8Array): Uint8Array | null
  /** Whether what was handed on ends where an event does. */
  isBetween(): boolean
  /** What was kept back, when nothing follows. */
  end(): Uint8Array | null
}

/** No client can read an event before its end: keeping its beginning back delays nothing. */
export function createWholeEvents({ maxBytes }: { maxBytes: number }): WholeEvents {
  const lastEnd = createEnds()
  let kept = new Uint8Array(0)
  let size = 0
  let isBetween = true

  function keep(bytes: Uint8Array): void {
    if (size + bytes.byteLength > kept.byteLength) {
      const larger = new Uint8Array(Math.max(2 * size, size + bytes.byteLength))
      larger.set(kept.subarray(0, size))
      kept = larger
    }
    kept.set(bytes, size)
    size += bytes.byteLength
  }

  /** What was kept, and what follows. */
  function release(bytes: Uint8Array): Uint8Array {
    if (size === 0) return bytes
    keep(bytes)
    const all = kept.subarray(0, size)
    kept = new Uint8Array(0)
    size = 0
    return all
  }

  return {
    push(bytes) {
      const end = lastEnd(bytes)
      const rest = bytes.byteLength - end
      const isUnfinished = end === 0
      if ((isUnfinished && !isBetween) || (isUnfinished ? size : 0) + rest > maxBytes) {
        isBetween = false
        return release(bytes)
      }
      const whole = isUnfinished ? null : release(bytes.subarray(0, end))
      isBetween = true
      keep(bytes.subarray(end))
      return whole
    },
    isBetween: () => isBetween,
    end: () => (size === 0 ? null : release(new Uint8Array(0))),
  }
}

const lineFeed = 10
const carriageReturn = 13

/** Finds in pieces that follow each other where the last event ends that ends in them; 0: none does. Lines end as the standard has it. */
function createEnds(): (bytes: Uint8Array) => number {
  let isLineStart = true
  let isEnd = true
  let isAfterReturn = false
  return bytes => {
    let end = 0
    for (let at = 0; at < bytes.byteLength; at += 1) {
      const byte = bytes[at]
      if (byte !== lineFeed && byte !== carriageReturn) {
        isLineStart = false
        isAfterReturn = false
        continue
      }
      // The second half of a line's end says nothing more.
      if (byte !== lineFeed || !isAfterReturn) isEnd = isLineStart
      if (isEnd) end = at + 1
      isLineStart = true
      isAfterReturn = byte === carriageReturn
    }
    return end
  }
}
