import { mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Log } from '../log.ts'
import { endOf, type FoundTape } from '../stream/found.ts'
import { type Batch, type Entry, parseEntry, type Upload } from './entry.ts'
import type { Layout } from './layout.ts'
import { entriesOfTapes, findTapes, type Tapes } from './recover-tapes.ts'
import { setAside } from './set-aside.ts'

export type Recovered = { entries: Entry[]; tapes: FoundTape[]; bytes: number }

/**
 * Entries that an earlier process left, in their files until they are answered: this process may be killed as well. A damaged file
 * is set aside with a warning once what can be read of it is answered; the jobs of what cannot are given out again by the edge when
 * their leases lapse.
 */
export async function recover(layout: Layout, log: Log): Promise<Recovered> {
  await rm(layout.scratch, { recursive: true, force: true })
  for (const directory of [layout.batches, layout.payloads, layout.streams, layout.scratch, layout.corrupt])
    await mkdir(directory, { recursive: true, mode: 0o700 })

  const tapes = await findTapes(layout, log)
  const entries: Entry[] = []
  let anyDamaged = false
  for (const name of (await readdir(layout.batches)).sort()) {
    const path = join(layout.batches, name)
    const { good, damaged } = await readBatch(path, layout, tapes)
    anyDamaged ||= damaged
    if (good.length > 0) {
      const batch: Batch = { path, bytes: (await stat(path)).size, left: good.length, damaged }
      entries.push(...good.map(entry => ({ ...entry, batch })))
    } else if (damaged) await setAside(path, { layout, log })
    else await rm(path, { force: true })
  }
  await clearPayloads(layout, { entries, anyDamaged })
  entries.push(...(await entriesOfTapes(layout, tapes, entries)))
  return { entries, tapes: [...tapes.values()], bytes: heldBytes(entries) }
}

async function readBatch(
  path: string,
  layout: Layout,
  tapes: Tapes,
): Promise<{ good: Entry[]; damaged: boolean }> {
  const text = await readFile(path, 'utf8').catch(() => '\n')
  const lines = text.split('\n')
  // A whole file ends with a line end, so its last piece is empty.
  let damaged = lines.pop() !== ''
  const good: Entry[] = []
  for (const line of lines) {
    const entry = parseEntry(line, layout)
    const state = entry === null ? 'damaged' : await payloadsOf(entry, tapes)
    if (entry !== null && state === 'whole') good.push(entry)
    damaged ||= state === 'damaged'
  }
  return { good, damaged }
}

type State = 'whole' | 'answered' | 'damaged'

/** Payloads are durable before their line is, and go when the edge has answered for it. */
async function payloadsOf({ uploads }: Entry, tapes: Tapes): Promise<State> {
  const states = await Promise.all(
    uploads.map(upload => (upload.kind === 'stream' ? stateOfTape(upload, tapes) : stateOfFile(upload))),
  )
  if (states.includes('answered')) return 'answered'
  return states.includes('damaged') ? 'damaged' : 'whole'
}

function stateOfFile({ path, bytes }: Upload): Promise<State> {
  return stat(path).then(
    ({ size }) => (size === bytes ? 'whole' : 'damaged'),
    ({ code }: NodeJS.ErrnoException) => (code === 'ENOENT' ? 'answered' : 'damaged'),
  )
}

function stateOfTape({ path, bytes }: Upload, tapes: Tapes): State {
  const tape = tapes.get(path)
  if (tape === undefined) return 'answered'
  return endOf(tape) === bytes ? 'whole' : 'damaged'
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

/** Without tapes, which count for themselves. */
function heldBytes(entries: readonly Entry[]): number {
  const batches = new Set(entries.flatMap(({ batch }) => batch ?? []))
  const uploads = entries.flatMap(entry => entry.uploads).filter(({ kind }) => kind !== 'stream')
  return [...batches, ...uploads].reduce((sum, { bytes }) => sum + bytes, 0)
}
