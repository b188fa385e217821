import fc from 'fast-check'
import { expect, test } from 'vitest'
import { pieces } from '../../src/runner/docker/frames.ts'

function frame(to: number, text: string): Buffer {
  const head = Buffer.alloc(8)
  head[0] = to
  head.writeUInt32BE(Buffer.byteLength(text), 4)
  return Buffer.concat([head, Buffer.from(text)])
}

async function* cutAt(bytes: Buffer, cuts: readonly number[]): AsyncGenerator<Uint8Array> {
  const places = [
    0,
    ...cuts.map(cut => cut % (bytes.length + 1)).sort((one, other) => one - other),
    bytes.length,
  ]
  for (const [index, from] of places.entries()) yield bytes.subarray(from, places[index + 1] ?? bytes.length)
}

test("behavior: a container's log comes apart the same wherever it is cut", async () => {
  const frames = fc.array(fc.tuple(fc.constantFrom(1, 2), fc.string({ maxLength: 20 })))
  await fc.assert(
    fc.asyncProperty(frames, fc.array(fc.nat()), async (written, cuts) => {
      const bytes = Buffer.concat(written.map(([to, text]) => frame(to, text)))
      const read = { stdout: '', stderr: '' }
      for await (const { to, bytes: part } of pieces(cutAt(bytes, cuts)))
        read[to] += Buffer.from(part).toString('latin1')
      const all = (wanted: number) =>
        Buffer.from(written.flatMap(([to, text]) => (to === wanted ? [text] : [])).join('')).toString(
          'latin1',
        )
      expect(read).toEqual({ stdout: all(1), stderr: all(2) })
    }),
  )
})
