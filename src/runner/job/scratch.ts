import { randomUUID } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'

/** Where a job's replies too large for memory go, and the bounds. */
export type Scratch = {
  readonly memoryBytes: number
  readonly maxBytes: number
  /** The path of a file that is about to be made. */
  add(): string
  grew(path: string, bytes: number): void
  remove(path: string): Promise<void>
  /** Removes what is left; due when the job's result is stored. */
  clear(): Promise<void>
}

export type ScratchSpace = {
  forJob(): Scratch
  /** Of all jobs together. */
  bytes(): number
}

export type ScratchOptions = { directory: string; memoryBytes: number; maxBytes: number }

export function createScratchSpace({ directory, memoryBytes, maxBytes }: ScratchOptions): ScratchSpace {
  let total = 0

  function forJob(): Scratch {
    const files = new Map<string, number>()

    async function remove(path: string): Promise<void> {
      total -= files.get(path) ?? 0
      files.delete(path)
      // What stays is removed at the next start; a job does not fail for it.
      await rm(path, { force: true }).catch(() => {})
    }

    return {
      memoryBytes,
      maxBytes,
      add() {
        const path = join(directory, randomUUID())
        files.set(path, 0)
        return path
      },
      grew(path, bytes) {
        total += bytes
        files.set(path, (files.get(path) ?? 0) + bytes)
      },
      remove,
      async clear() {
        await Promise.all([...files.keys()].map(remove))
      },
    }
  }

  return { forJob, bytes: () => total }
}
