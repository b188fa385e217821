import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createBackoff } from './backoff.ts'
import { DamagedError } from './damaged.ts'
import type { Log } from './log.ts'
import { createNotice } from './notice.ts'
import { sleep } from './sleep.ts'
import type { Layout } from './spool/layout.ts'
import { createTrouble } from './trouble.ts'

/** A file of ours could not be written or read. It says nothing about a container, a job, or the edge. */
export class DiskError extends Error {
  override readonly name = 'DiskError'
}

/** Tells errors of files apart from those of sockets, which have the same shape. */
export async function onDisk<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (cause) {
    if (cause instanceof DamagedError) throw cause
    throw new DiskError('The disk fails', { cause })
  }
}

export type Disk = {
  /** False from a failure on until a file can be written again: no new work meanwhile. */
  works(): boolean
  failed(error: unknown): void
  /** Resolves when it works, or the signal aborts. */
  wait(signal: AbortSignal): Promise<void>
}

export type DiskOptions = {
  layout: Layout
  /** It works again. */
  onBack: () => void
  log: Log
  signal: AbortSignal
}

const probing = { baseMs: 500, capMs: 10_000 }
/** A full disk takes a few bytes more. */
const probeBytes = 1024 * 1024

export function createDisk({ layout, onBack, log, signal }: DiskOptions): Disk {
  const trouble = createTrouble({ log, what: 'Writing to the spool' })
  const back = createNotice()
  let broken = false

  /** Makes what somebody has removed, too. */
  async function probe(): Promise<void> {
    for (const directory of [layout.batches, layout.payloads, layout.streams, layout.scratch])
      await mkdir(directory, { recursive: true, mode: 0o700 })
    const path = join(layout.scratch, 'probe')
    try {
      await writeFile(path, Buffer.alloc(probeBytes), { mode: 0o600, flush: true })
    } finally {
      await rm(path, { force: true })
    }
  }

  async function probeUntilWritten(): Promise<void> {
    const backoff = createBackoff(probing)
    while (broken && !signal.aborted) {
      await sleep(backoff.next(), signal)
      try {
        await probe()
        broken = false
      } catch (error) {
        trouble.failed(error)
      }
    }
    if (broken) return
    trouble.over()
    back.post()
    onBack()
  }

  return {
    works: () => !broken,
    failed(error) {
      trouble.failed(error)
      if (broken) return
      broken = true
      void probeUntilWritten()
    },
    async wait(until) {
      while (broken && !until.aborted) await back.wait(until)
    },
  }
}
