import { createHash } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'

/** Downloads a file of known size and hash. */
export async function download({ url, bytes, sha256 }, { path, signal }) {
  const response = await fetch(url, { signal })
  if (!response.ok || !response.body) {
    await response.body?.cancel()
    throw new Error(`status ${response.status}`)
  }
  await keep(Readable.fromWeb(response.body), { path, bytes, sha256, signal })
}

/**
 * Writes a stream to a file that is there whole and as expected, or not at all. No more than `bytes` are ever taken.
 */
export async function keep(stream, { path, bytes, sha256, signal }) {
  const part = `${path}.${process.pid}.part`
  const hash = createHash('sha256')
  let taken = 0
  async function* checked(chunks) {
    for await (const chunk of chunks) {
      taken += chunk.length
      if (taken > bytes) throw new Error(`more than the ${bytes} bytes it should have`)
      hash.update(chunk)
      yield chunk
    }
  }
  try {
    await pipeline(stream, checked, createWriteStream(part), { signal })
    if (taken !== bytes) throw new Error(`${taken} bytes in place of ${bytes}`)
    const actual = hash.digest('hex')
    if (actual !== sha256) throw new Error(`its SHA-256 is ${actual}, not ${sha256}`)
    await rename(part, path)
  } finally {
    await rm(part, { force: true })
  }
}
