import { mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type { Lease } from '../../protocol/runner.ts'
import type { Log } from '../log.ts'
import { messageOf } from '../trouble.ts'
import { type Batch, type Entry, type PayloadKind, parseEntry } from './entry.ts'
import type { Layout } from './layout.ts'

export type Recovered = { entries: Entry[]; bytes: number }

/**
 * Entries that an earlier process left, in their files until they are answered: this process may be killed as well. A damaged file
 * is set aside with a warning once what can be read of it is answered; the jobs of what cannot are given out again by the edge when
 * their leases lapse.
 */
export async function recover(layout: Layout, log: Log): Promise<Recovered> {
  await rm(layout.scratch, { recursive: true, force: true })
  for (const directory of [layout.batches, layout.payloads, layout.scratch, layout.corrupt])
    await mkdir(directory, { recursive: true, mode: 0o700 })

  const entries: Entry[] = []
  let anyDamaged = false
  for (const name of (await readdir(layout.batches)).sort()) {
    const path = join(layout.batches, name)
    const { good, damaged } = await readBatch(path, layout.payload)
    anyDamaged ||= damaged
    if (good.length > 0) {
      const batch: Batch = { path, bytes: (await stat(path)).size, left: good.length, damaged }
      entries.push(...good.map(entry => ({ ...entry, batch })))
    } else if (damaged) await setAside(path, { layout, log })
    else await rm(path, { force: true })
  }
  await clearPayloads(layout, { entries, anyDamaged })
  return { entries, bytes: heldBytes(entries) }
}

async function readBatch(
  path: string,
  payloadPath: (lease: Lease, kind: PayloadKind) => string,
): Promise<{ good: Entry[]; damaged: boolean }> {
  const text = await readFile(path, 'utf8').catch(() => '\n')
  const lines = text.split('\n')
  // A whole file ends with a line end, so its last piece is empty.
  let damaged = lines.pop() !== ''
  const good: Entry[] = []
  for (const line of lines) {
    const entry = parseEntry(line, payloadPath)
    const state = entry === null ? 'damaged' : await payloadsOf(entry)
    if (entry !== null && state === 'whole') good.push(entry)
    damaged ||= state === 'damaged'
  }
  return { good, damaged }
}

/** Payloads are durable before their line is, and go when the edge has answered for it. */
async function payloadsOf({ uploads }: Entry): Promise<'whole' | 'answered' | 'damaged'> {
  const states = await Promise.all(
    uploads.map(({ path, bytes }) =>
      stat(path).then(
        ({ size }) => (size === bytes ? 'whole' : 'damaged'),
        ({ code }: NodeJS.ErrnoException) => (code === 'ENOENT' ? 'answered' : 'damaged'),
      ),
    ),
  )
  if (states.includes('answered')) return 'answered'
  return states.includes('damaged') ? 'damaged' : 'whole'
}

export async function setAside(path: string, { layout, log }: { layout: Layout; log: Log }): Promise<void> {
  const aside = join(layout.corrupt, basename(path))
  try {
    await rename(path, aside)
    log.warn('A spool file is damaged and was set aside', { file: aside })
  } catch (error) {
    log.warn('A damaged spool file could not be set aside', { file: path, error: messageOf(error) })
  }
}

/**
 * Payloads that no entry names: the process ended before it was written, or after it was answered. If a line could not be read, it
 * may have named them.
 */
async function clearPayloads(
  { payloads, corrupt }: Layout,
  { entries, anyDamaged }: { entries: readonly Entry[]; anyDamaged: boolean },
): Promise<void> {
  const wanted = new Set(entries.flatMap(({ uploads }) => uploads.map(({ path }) => path)))
  for (const name of await readdir(payloads)) {
    const path = join(payloads, name)
    if (wanted.has(path)) continue
    if (anyDamaged) await rename(path, join(corrupt, name))
    else await rm(path, { force: true })
  }
}

function heldBytes(entries: readonly Entry[]): number {
  const batches = new Set(entries.flatMap(({ batch }) => batch ?? []))
  const uploads = entries.flatMap(entry => entry.uploads)
  return [...batches, ...uploads].reduce((sum, { bytes }) => sum + bytes, 0)
}
