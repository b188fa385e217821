import { isUtf8 } from 'node:buffer'

export type Utf8 = {
  push(bytes: Uint8Array): void
  /** All bytes so far are whole characters. */
  whole(): boolean
}

/** Checks a text as it passes; characters may be split between pieces. */
export function createUtf8(): Utf8 {
  let valid = true
  /** The beginning of a character: 3 bytes at most. */
  let open: Uint8Array = new Uint8Array()

  return {
    push(bytes) {
      if (!valid) return
      const text = open.length === 0 ? bytes : Buffer.concat([open, bytes])
      const cut = text.length - openBytes(text)
      valid = isUtf8(text.subarray(0, cut))
      // A copy, since the piece may be a small part of a large buffer.
      open = Uint8Array.from(text.subarray(cut))
    },
    whole: () => valid && open.length === 0,
  }
}

/** How many bytes at the end begin a character and do not end it. */
function openBytes(text: Uint8Array): number {
  for (let back = 1; back <= Math.min(3, text.length); back++) {
    const byte = text[text.length - back] ?? 0
    if ((byte & 0xc0) === 0x80) continue
    return charBytes(byte) > back ? back : 0
  }
  return 0
}

/** Of the character that a byte begins. Bytes that begin none are left for the check to find. */
function charBytes(first: number): number {
  if (first >= 0xf0) return 4
  if (first >= 0xe0) return 3
  return first >= 0xc0 ? 2 : 1
}
