/** Bytes of a stream by their offsets, from `base` to `end`, in the pieces that they came in. */
export type Window = {
  base(): number
  end(): number
  size(): number
  /** Takes what follows on; what is known already is passed over. @returns whether there was anything new. */
  add(offset: number, bytes: Uint8Array): boolean
  /** Without a copy where it can be. @throws when not all of it is held. */
  slice(from: number, to: number): Uint8Array
  /** Forgets what is before an offset. */
  drop(before: number): void
  reset(at: number): void
}

export function createWindow(): Window {
  let pieces: { offset: number; bytes: Uint8Array }[] = []
  let base = 0
  let end = 0

  return {
    base: () => base,
    end: () => end,
    size: () => end - base,
    add(offset, bytes) {
      const fresh = bytes.subarray(Math.max(0, end - offset))
      if (offset > end || fresh.byteLength === 0) return false
      pieces.push({ offset: end, bytes: fresh })
      end += fresh.byteLength
      return true
    },
    slice(from, to) {
      if (from < base || to > end) throw new Error(`Of ${from} to ${to} only ${base} to ${end} is held`)
      const touched = pieces.filter(({ offset, bytes }) => offset < to && offset + bytes.byteLength > from)
      const [only] = touched
      if (touched.length === 1 && only)
        return only.bytes.subarray(Math.max(0, from - only.offset), to - only.offset)
      const joined = new Uint8Array(to - from)
      for (const { offset, bytes } of touched) {
        const piece = bytes.subarray(Math.max(0, from - offset), to - offset)
        joined.set(piece, Math.max(0, offset - from))
      }
      return joined
    },
    drop(before) {
      if (before <= base) return
      base = Math.min(before, end)
      const kept = pieces.findIndex(({ offset, bytes }) => offset + bytes.byteLength > base)
      pieces = kept < 0 ? [] : pieces.slice(kept)
    },
    reset(at) {
      pieces = []
      base = at
      end = at
    },
  }
}
