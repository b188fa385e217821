import { JsonLimitError } from './json-errors.ts'

/** A byte buffer that grows as it is filled, up to `maxBytes`, and is used again from item to item. */
export type Fields = {
  length(): number
  append(bytes: Uint8Array, from: number, to: number): void
  /** Whether the JSON string, quotes included, that was appended from `from` on spells `key`, which is ASCII. */
  endsWithKey(from: number, key: string): boolean
  /** The bytes so far, copied; the buffer is empty afterwards. */
  take(): Uint8Array
}

/** The most that V8 keeps inside a typed array; making a larger one costs as much as scanning 100 bytes. */
const FIRST_CAPACITY = 64

/** Below this a loop copies faster than `set`, which wants a view made for it. */
const SHORT_COPY = 48

export function createFields(maxBytes: number): Fields {
  let buffer = new Uint8Array(Math.min(FIRST_CAPACITY, maxBytes))
  let length = 0

  function reserve(size: number): void {
    if (size > maxBytes) throw new JsonLimitError('fields', `Fields take more than ${maxBytes} bytes`)
    if (size <= buffer.length) return
    const larger = new Uint8Array(Math.min(maxBytes, Math.max(size, buffer.length * 4)))
    larger.set(buffer.subarray(0, length))
    buffer = larger
  }

  function append(bytes: Uint8Array, from: number, to: number): void {
    const size = length + to - from
    reserve(size)
    if (to - from > SHORT_COPY) buffer.set(bytes.subarray(from, to), length)
    else for (let index = from, at = length; index < to; ) buffer[at++] = bytes[index++] as number
    length = size
  }

  function endsWithKey(from: number, key: string): boolean {
    const size = length - from - 2
    if (size < key.length || size > key.length * 6) return false
    for (let index = 0; index < size; index++) {
      const byte = buffer[from + 1 + index]
      if (byte === 0x5c) return JSON.parse(String.fromCharCode(...buffer.subarray(from, length))) === key
      if (byte !== key.charCodeAt(index)) return false
    }
    return true
  }

  function take(): Uint8Array {
    const taken = buffer.slice(0, length)
    length = 0
    return taken
  }

  return { length: () => length, append, endsWithKey, take }
}
