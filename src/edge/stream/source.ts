/** Bytes of a body as they come; null: no more. */
export type Source = { read(): Promise<Uint8Array | null>; cancel(reason?: unknown): Promise<void> }

const bufferBytes = 64 * 1024
/** Of less than this a copy is made, and the buffer is used again: a token must not hold 64 KiB. */
const keptBytes = 16 * 1024

/** Reads in pieces of up to 64 KiB where the host can: workerd's own are 4 KiB each. */
export function sourceOf(body: ReadableStream<Uint8Array>): Source {
  const byob = byobReader(body)
  if (byob === null) {
    const reader = body.getReader()
    return {
      async read() {
        const { done, value } = await reader.read()
        return done ? null : value
      },
      cancel: async reason => await reader.cancel(reason),
    }
  }
  let buffer = new ArrayBuffer(bufferBytes)
  return {
    async read() {
      const { done, value } = await byob.read(new Uint8Array(buffer))
      if (done || !value) return null
      const isKept = value.byteLength > keptBytes
      buffer = isKept ? new ArrayBuffer(bufferBytes) : (value.buffer as ArrayBuffer)
      return isKept ? value : value.slice()
    },
    cancel: async reason => await byob.cancel(reason),
  }
}

function byobReader(body: ReadableStream<Uint8Array>): ReadableStreamBYOBReader | null {
  try {
    return body.getReader({ mode: 'byob' })
  } catch {
    return null
  }
}
