import type { Frame } from './readers.ts'
import { sourceOf } from './source.ts'

/** Frames over a connection: each with its offset and length in front. */
const headBytes = 12

export function toWire(frames: ReadableStream<Frame>): ReadableStream<Uint8Array> {
  const source = frames.getReader()
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await source.read()
        if (done) return controller.close()
        const wired = new Uint8Array(headBytes + value.bytes.byteLength)
        const head = new DataView(wired.buffer)
        head.setFloat64(0, value.offset)
        head.setUint32(8, value.bytes.byteLength)
        wired.set(value.bytes, headBytes)
        controller.enqueue(wired)
      },
      cancel: reason => source.cancel(reason),
    },
    { highWaterMark: 0 },
  )
}

/** Bytes of a frame are handed on as they come: each piece is a frame of its own. */
export function fromWire(bytes: ReadableStream<Uint8Array>): ReadableStream<Frame> {
  const source = sourceOf(bytes)
  const head = new Uint8Array(headBytes)
  let have = 0
  let offset = 0
  let left = 0

  /** Of what has come, the first frame or a piece of it; null: not whole yet. */
  function take(piece: Uint8Array): { frame: Frame | null; rest: Uint8Array } {
    if (have < headBytes) {
      const part = piece.subarray(0, headBytes - have)
      head.set(part, have)
      have += part.byteLength
      const rest = piece.subarray(part.byteLength)
      if (have < headBytes) return { frame: null, rest }
      const view = new DataView(head.buffer)
      offset = view.getFloat64(0)
      left = view.getUint32(8)
      if (left > 0) return { frame: null, rest }
      have = 0
      return { frame: { offset, bytes: rest.subarray(0, 0) }, rest }
    }
    const part = piece.subarray(0, left)
    const frame = { offset, bytes: part }
    offset += part.byteLength
    left -= part.byteLength
    if (left === 0) have = 0
    return { frame, rest: piece.subarray(part.byteLength) }
  }

  let rest = new Uint8Array(0)
  return new ReadableStream<Frame>(
    {
      async pull(controller) {
        for (;;) {
          if (rest.byteLength === 0) {
            const value = await source.read()
            if (value === null) return controller.close()
            rest = value as Uint8Array<ArrayBuffer>
          }
          const taken = take(rest)
          rest = taken.rest as Uint8Array<ArrayBuffer>
          if (taken.frame !== null) return controller.enqueue(taken.frame)
        }
      },
      cancel: reason => source.cancel(reason),
    },
    { highWaterMark: 0 },
  )
}
