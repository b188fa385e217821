import { mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type { Lease } from '../../protocol/runner.ts'
import type { Log } from '../log.ts'
import { type Batch, type Entry, type PayloadKind, parseEntry } from './entry.ts'
import type { Layout } from './layout.ts'

export type Recovered = { entries: Entry[]; bytes: number }

/**
 * Entries that an earlier process left. A damaged file is set aside with a warning; what can be read of it is still reported,
 * and the jobs of what cannot are given out again by the edge when their leases lapse.
 */
export async function recover(layout: Layout, log: Log): Promise<Recovered> {
  await rm(layout.scratch, { recursive: true, force: true })
  for (const directory of [layout.batches, layout.payloads, layout.scratch, layout.corrupt])
    await mkdir(directory, { recursive: true, mode: 0o700 })

  const entries: Entry[] = []
  for (const name of (await readdir(layout.batches)).sort()) {
    const path = join(layout.batches, name)
    const { good, damaged } = await readBatch(path, layout.payload)
    if (damaged) await setAside(path, { layout, log })
    const batch: Batch = { path: damaged ? join(layout.corrupt, name) : path, bytes: 0, left: good.length }
    if (good.length === 0 && !damaged) await rm(path, { force: true })
    else if (!damaged) batch.bytes = (await stat(path)).size
    entries.push(...good.map(entry => ({ ...entry, batch: damaged ? null : batch })))
  }
  await dropOrphans(layout, entries)
  return { entries, bytes: heldBytes(entries) }
}

async function readBatch(
  path: string,
  payloadPath: (lease: Lease, kind: PayloadKind) => string,
): Promise<{ good: Entry[]; damaged: boolean }> {
  const text = await readFile(path, 'utf8').catch(() => '\n')
  const lines = text.split('\n')
  // A whole file ends with a line end, so its last piece is empty.
  const torn = lines.pop() !== ''
  const good: Entry[] = []
  for (const line of lines) {
    const entry = parseEntry(line, payloadPath)
    if (entry !== null && (await payloadsAreWhole(entry))) good.push(entry)
  }
  return { good, damaged: torn || good.length < lines.length }
}

async function payloadsAreWhole({ uploads }: Entry): Promise<boolean> {
  const sizes = await Promise.all(
    uploads.map(({ path }) =>
      stat(path).then(
        ({ size }) => size,
        () => -1,
      ),
    ),
  )
  return uploads.every(({ bytes }, index) => sizes[index] === bytes)
}

async function setAside(path: string, { layout, log }: { layout: Layout; log: Log }): Promise<void> {
  const aside = join(layout.corrupt, basename(path))
  await rename(path, aside).catch(() => {})
  log.warn('A spool file is damaged and was set aside', { file: aside })
}

/** Payloads whose entry was never written: the process ended in between. */
async function dropOrphans({ payloads }: Layout, entries: readonly Entry[]): Promise<void> {
  const wanted = new Set(entries.flatMap(({ uploads }) => uploads.map(({ path }) => path)))
  for (const name of await readdir(payloads)) {
    const path = join(payloads, name)
    if (!wanted.has(path)) await rm(path, { force: true })
  }
}

function heldBytes(entries: readonly Entry[]): number {
  const batches = new Set(entries.flatMap(({ batch }) => batch ?? []))
  const uploads = entries.flatMap(entry => entry.uploads)
  return [...batches, ...uploads].reduce((sum, { bytes }) => sum + bytes, 0)
}
