/** Turns bytes into text as they come, where they are UTF-8. */
export type Text = {
  /** What is whole so far: text, or the bytes where they are no text; null: nothing yet. */
  push(bytes: Uint8Array): string | Uint8Array | null
  /** Bytes kept back: the beginning of a character. */
  held(): number
  /** What was kept back, when nothing follows. */
  end(): Uint8Array | null
}

export function createText(): Text {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  let kept = new Uint8Array(0)

  return {
    push(bytes) {
      const all = join(kept, bytes)
      const whole = all.byteLength - unfinished(all)
      try {
        const text = decoder.decode(all.subarray(0, whole))
        kept = all.slice(whole)
        return text === '' ? null : text
      } catch {
        kept = new Uint8Array(0)
        return all
      }
    },
    held: () => kept.byteLength,
    end() {
      const left = kept
      kept = new Uint8Array(0)
      return left.byteLength === 0 ? null : left
    },
  }
}

/** Whether all of it is text; it may end within a character. */
export async function isUtf8(pieces: AsyncIterable<Uint8Array>): Promise<boolean> {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  for await (const piece of pieces) {
    try {
      decoder.decode(piece, { stream: true })
    } catch {
      return false
    }
  }
  return true
}

/** Bytes at the end that begin a character, and may be finished by what follows. */
function unfinished(bytes: Uint8Array): number {
  for (let back = 1; back <= Math.min(3, bytes.byteLength); back += 1) {
    const byte = bytes[bytes.byteLength - back] ?? 0
    if ((byte & 0xc0) === 0x80) continue
    return lengthOf(byte) > back ? back : 0
  }
  return 0
}

/** Of the character that a byte begins; 1 also for what begins none. */
function lengthOf(byte: number): number {
  if (byte < 0xc2 || byte > 0xf4) return 1
  return byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2
}

function join(a: Uint8Array, b: Uint8Array): Uint8Array {
  if (a.byteLength === 0) return b
  const joined = new Uint8Array(a.byteLength + b.byteLength)
  joined.set(a)
  joined.set(b, a.byteLength)
  return joined
}
