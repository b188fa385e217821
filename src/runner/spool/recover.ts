import { mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type { ReportedResult } from '../../protocol/runner.ts'
import { errorResult } from '../job/envelope.ts'
import type { Log } from '../log.ts'
import { type Label, lookAtTape, readLabel, removeTape, tapePathOf } from '../stream/tape.ts'
import { messageOf } from '../trouble.ts'
import { type Batch, type Entry, parseEntry, type TapeUpload } from './entry.ts'
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
    const { good, damaged } = await readBatch(path, layout)
    anyDamaged ||= damaged
    if (good.length > 0) {
      const batch: Batch = { path, bytes: (await stat(path)).size, left: good.length, damaged }
      entries.push(...good.map(entry => ({ ...entry, batch })))
    } else if (damaged) await setAside(path, { layout, log })
    else await rm(path, { force: true })
  }
  entries.push(...(await recoverTapes(layout, { entries, log })))
  await clearPayloads(layout, { entries, anyDamaged })
  return { entries, bytes: heldBytes(entries) }
}

async function readBatch(path: string, layout: Layout): Promise<{ good: Entry[]; damaged: boolean }> {
  const text = await readFile(path, 'utf8').catch(() => '\n')
  const lines = text.split('\n')
  // A whole file ends with a line end, so its last piece is empty.
  let damaged = lines.pop() !== ''
  const good: Entry[] = []
  for (const line of lines) {
    const entry = parseEntry(line, layout)
    const state = entry === null ? 'damaged' : await payloadsOf(entry)
    if (entry !== null && state === 'whole') good.push(entry)
    damaged ||= state === 'damaged'
  }
  return { good, damaged }
}

/** Payloads are durable before their line is, and go when the edge has answered for it. */
async function payloadsOf({ uploads }: Entry): Promise<'whole' | 'answered' | 'damaged'> {
  const states = await Promise.all(
    uploads.map(upload =>
      upload.kind === 'stream'
        ? tapeOf(upload)
        : stat(upload.path).then(
            ({ size }) => (size === upload.bytes ? 'whole' : 'damaged'),
            ({ code }: NodeJS.ErrnoException) => (code === 'ENOENT' ? 'answered' : 'damaged'),
          ),
    ),
  )
  if (states.includes('answered')) return 'answered'
  return states.includes('damaged') ? 'damaged' : 'whole'
}

/** What is on disk of a stream that ended: its last byte, at least. */
async function tapeOf(upload: TapeUpload): Promise<'whole' | 'answered' | 'damaged'> {
  const found = await lookAtTape(upload.path)
  if (found === null) return 'answered'
  upload.heldBytes = found.heldBytes
  return found.end === upload.bytes ? 'whole' : 'damaged'
}

/**
 * Streams that an earlier process was in the midst of. Their containers' answers went with it: what came is reported as all there is. Where
 * nothing came, the edge gives the job out again when the lease lapses.
 */
async function recoverTapes(
  { payloads, tape }: Layout,
  { entries, log }: { entries: readonly Entry[]; log: Log },
): Promise<Entry[]> {
  const known = new Set(entries.flatMap(({ uploads }) => uploads.map(({ path }) => path)))
  const found: Entry[] = []
  for (const name of (await readdir(payloads)).filter(name => name.endsWith('.label'))) {
    const label = await readLabel(join(payloads, name))
    const path = label && tape(label)
    if (path === null || known.has(path)) continue
    const there = await lookAtTape(path)
    if (there === null || there.end === 0) await removeTape(path)
    else {
      log.warn('A stream was cut off when the runner ended', { job: label?.id, bytes: there.end })
      found.push(
        cutOff(label as Label, {
          kind: 'stream',
          path,
          bytes: there.end,
          heldBytes: there.heldBytes,
          uploading: null,
        }),
      )
    }
  }
  return found
}

function cutOff({ id, attempt, container }: Label, upload: TapeUpload): Entry {
  const failure = { code: 'runner_restarted', error: 'The runner ended in the midst of it' } as const
  const reported: ReportedResult = {
    ...{ id, attempt },
    status: 'failed',
    error_code: failure.code,
    result: { text: errorResult(container, failure).join('') },
    intermediate: null,
    stream: { bytes: upload.bytes, utf8: true },
  }
  return { lease: { id, attempt }, line: JSON.stringify(reported), uploads: [upload], batch: null }
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
    if (wanted.has(path) || wanted.has(tapePathOf(path))) continue
    if (anyDamaged) await rename(path, join(corrupt, name))
    else await rm(path, { force: true })
  }
}

function heldBytes(entries: readonly Entry[]): number {
  const batches = new Set(entries.flatMap(({ batch }) => batch ?? []))
  const uploads = entries.flatMap(entry => entry.uploads)
  const sizes = uploads.map(upload => (upload.kind === 'stream' ? upload.heldBytes : upload.bytes))
  return [...[...batches].map(({ bytes }) => bytes), ...sizes].reduce((sum, bytes) => sum + bytes, 0)
}
