import { createHash } from 'node:crypto'
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'

/** Packed; the answer for a whole project takes about 1 MiB. */
const maxBytes = 64 * 1024 * 1024

/** Answers on disk, by the hash of what was asked. What cannot be read or kept is only slower: a cache is never why a build fails. */
export function createCache(folder) {
  const pathOf = key => join(folder, `${createHash('sha256').update(key).digest('hex')}.gz`)
  return {
    read(key) {
      const path = pathOf(key)
      const packed = attempt(() => readFileSync(path))
      if (packed === undefined) return undefined
      // The oldest use goes first, not the oldest answer.
      attempt(() => utimesSync(path, new Date(), new Date()))
      // gzip has a checksum: half a file is no answer.
      return attempt(() => gunzipSync(packed).toString('utf8'))
    },
    write(key, value) {
      attempt(() => {
        mkdirSync(folder, { recursive: true })
        const path = pathOf(key)
        // Whole or not at all, whoever else writes the same.
        const scratch = `${path}.${process.pid}`
        writeFileSync(scratch, gzipSync(value, { level: 1 }))
        renameSync(scratch, path)
        trim(folder)
      })
    },
  }
}

/** Removes the files that were used longest ago, until the rest fits. */
function trim(folder) {
  const files = readdirSync(folder)
    .map(name => join(folder, name))
    .map(path => ({ path, ...sizeAndTime(path) }))
    .sort((a, b) => b.mtimeMs - a.mtimeMs)
  let total = 0
  for (const { path, size } of files) {
    total += size
    if (total > maxBytes) rmSync(path, { force: true })
  }
}

/** Another process may have trimmed it meanwhile. */
function sizeAndTime(path) {
  const { size = 0, mtimeMs = 0 } = statSync(path, { throwIfNoEntry: false }) ?? {}
  return { size, mtimeMs }
}

function attempt(act) {
  try {
    return act()
  } catch {
    return undefined
  }
}
