import { mkdir, open, rename, rm, unlink } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { limits } from '../../protocol/limits.ts'
import type { Lease, Payload } from '../../protocol/runner.ts'
import { onDisk } from '../disk.ts'
import type { Log } from '../log.ts'
import { bytesOf, type Rope, textOf, writeRope } from '../rope.ts'
import type { Bounds } from '../stream/bounds.ts'
import { createTapes, type Tapes } from '../stream/tapes.ts'
import { messageOf } from '../trouble.ts'
import type { Batch, Entry, PartsUpload, PayloadKind } from './entry.ts'
import { partsOf } from './entry.ts'
import { type Layout, layoutOf } from './layout.ts'
import { lockDirectory } from './lock.ts'
import { recover } from './recover.ts'
import { setAside } from './set-aside.ts'
import { syncDirectory } from './sync.ts'

export type Stored = { payload: Payload; upload: PartsUpload | null }

export type Spool = {
  readonly layout: Layout
  /** What an earlier process left to report. */
  readonly left: readonly Entry[]
  /** The output of streaming jobs. */
  readonly tapes: Tapes
  bytes(): number
  /** Text up to `limits.inlineBytes` as it is, anything larger in a durable file of its own. @throws DiskError */
  store(lease: Lease, kind: PayloadKind, rope: Rope): Promise<Stored>
  /** Makes entries durable: one file, synced together with its name. */
  write(entries: readonly Entry[]): Promise<void>
  /** Forgets an entry that the edge has answered. */
  release(entry: Entry): void
  /** Keeps an entry that cannot be reported, out of the way. On an error it stays in its batch. */
  setAside(entry: Entry): Promise<void>
  /** Lets go of the directory within the call. */
  close(): Promise<void>
}

export type SpoolOptions = { instance: string; log: Log; bounds?: Bounds | undefined }

/** Opens the directory for this process alone. Throws `LockedError` when another has it. */
export async function openSpool(directory: string, { instance, log, bounds }: SpoolOptions): Promise<Spool> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const unlock = lockDirectory(directory)
  const layout = layoutOf(directory)
  const { entries: left, tapes: found, bytes: leftBytes } = await recover(layout, log)
  const tapes = createTapes({ layout, found, log, bounds })
  await syncDirectory(directory)
  const never = new AbortController().signal
  let bytes = leftBytes
  let files = 0

  function remove(path: string, size: number): void {
    bytes -= size
    unlink(path).catch((error: unknown) =>
      log.warn('A spool file could not be removed', { file: path, error: messageOf(error) }),
    )
  }

  function leave(batch: Batch | null): void {
    if (batch === null || --batch.left > 0) return
    if (batch.damaged) {
      bytes -= batch.bytes
      void setAside(batch.path, { layout, log })
    } else remove(batch.path, batch.bytes)
  }

  return {
    layout,
    left,
    tapes,
    bytes: () => bytes + tapes.bytes(),
    async store(lease, kind, rope) {
      const size = bytesOf(rope)
      const text = size <= limits.inlineBytes ? textOf(rope) : null
      if (text !== null) return { payload: { text }, upload: null }
      const path = layout.payload(lease, kind)
      await writeRope(path, rope, never)
      await onDisk(syncDirectory(layout.payloads))
      bytes += size
      return { payload: { parts: partsOf(size), bytes: size }, upload: { kind, path, bytes: size } }
    },
    async write(entries) {
      const text = entries.map(({ line }) => `${line}\n`).join('')
      const path = join(layout.batches, `${instance}-${String(++files).padStart(9, '0')}`)
      const batch: Batch = { path, bytes: Buffer.byteLength(text), left: entries.length, damaged: false }
      const file = await open(path, 'wx', 0o600)
      try {
        await file.writeFile(text)
        // Side by side, as both wait for the same journal: one after the other would be a second wait for the disk.
        await Promise.all([file.datasync(), syncDirectory(layout.batches)])
      } catch (error) {
        await rm(path, { force: true }).catch(() => {})
        throw error
      } finally {
        await file.close()
      }
      bytes += batch.bytes
      for (const entry of entries) entry.batch = batch
    },
    release({ lease, uploads, batch }) {
      for (const { kind, path, bytes: size } of uploads)
        if (kind === 'stream') void tapes.remove(lease)
        else remove(path, size)
      leave(batch)
    },
    async setAside({ lease, line, uploads, batch }) {
      // Its line first: a payload that is missing says at the next start that the edge has answered.
      await writeRope(layout.refused(lease), [`${line}\n`], never)
      await syncDirectory(layout.corrupt)
      for (const { kind, path, bytes: size } of uploads) {
        if (kind === 'stream') {
          await tapes.setAside(lease)
          continue
        }
        await rename(path, join(layout.corrupt, basename(path)))
        bytes -= size
      }
      log.error('A result was set aside', { job: lease.id, file: layout.refused(lease) })
      leave(batch)
    },
    close() {
      unlock()
      return tapes.close()
    },
  }
}
