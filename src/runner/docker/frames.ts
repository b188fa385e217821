/** A piece of a container's log, and where it was written to. */
export type Piece = { to: 'stdout' | 'stderr'; bytes: Uint8Array }

const headBytes = 8

/**
 * Takes apart the log of a container without a terminal: each frame has a head of the stream (2 is stderr), three bytes of zero, and
 * the length in four bytes (Docker Engine API, "Attach to a container"). Pieces come as they arrive, whole frames or not.
 */
export async function* pieces(body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): AsyncGenerator<Piece> {
  let head = Buffer.alloc(0)
  let left = 0
  let to: Piece['to'] = 'stdout'
  for await (const chunk of body) {
    let rest = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
    while (rest.length > 0) {
      if (left === 0) {
        const missing = headBytes - head.length
        head = Buffer.concat([head, rest.subarray(0, missing)])
        rest = rest.subarray(missing)
        if (head.length < headBytes) break
        to = head[0] === 2 ? 'stderr' : 'stdout'
        left = head.readUInt32BE(4)
        head = Buffer.alloc(0)
        continue
      }
      const bytes = rest.subarray(0, left)
      left -= bytes.length
      rest = rest.subarray(bytes.length)
      yield { to, bytes }
    }
  }
}
