import { randomUUID } from 'node:crypto'
import { mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Lease } from '../../protocol/runner.ts'
import { onDisk } from '../disk.ts'
import type { Log } from '../log.ts'
import type { Layout } from '../spool/layout.ts'
import { messageOf } from '../trouble.ts'
import { type Bounds, bounds as usual } from './bounds.ts'
import { type About, aboutName, type FoundTape } from './found.ts'
import { createSegments, type Segment } from './segments.ts'
import { createTape, type Tape } from './tape.ts'

/** The tapes of this process, and those that an earlier one has left to report. */
export type Tapes = {
  /** On disk, all together. */
  bytes(): number
  /** Begins one. @throws DiskError, and leaves nothing. */
  begin(lease: Lease, container: string): Promise<Tape>
  get(lease: Lease): Tape | undefined
  /** Removes it from the disk. */
  remove(lease: Lease): Promise<void>
  /** Keeps it for a person to look at. */
  setAside(lease: Lease): Promise<void>
  close(): Promise<void>
}

export type TapesOptions = {
  layout: Layout
  found: readonly FoundTape[]
  log: Log
  bounds?: Bounds | undefined
}

export function createTapes({ layout, found, log, bounds = usual }: TapesOptions): Tapes {
  const tapes = new Map<string, Tape>()
  const sizes = new Map<Tape, number>()
  let total = 0

  function open(lease: Lease, segments: readonly Segment[], { ended }: { ended: boolean }): Tape {
    const path = layout.tape(lease)
    const onGrown = (bytes: number) => {
      total += bytes
      sizes.set(tape, (sizes.get(tape) ?? 0) + bytes)
    }
    const kept = createSegments({
      directory: path,
      segmentBytes: bounds.segmentBytes,
      found: segments,
      onGrown,
    })
    const tape = createTape({ lease, path, segments: kept, ended, bounds })
    onGrown(segments.reduce((sum, { bytes }) => sum + bytes, 0))
    tapes.set(keyOf(lease), tape)
    return tape
  }

  /** Moved away at once, so that a process which is killed meanwhile leaves a whole one or none. */
  async function moveTo(lease: Lease, place: string): Promise<void> {
    const tape = tapes.get(keyOf(lease))
    if (tape === undefined) return
    tapes.delete(keyOf(lease))
    total -= sizes.get(tape) ?? 0
    sizes.delete(tape)
    await tape.close()
    await rename(tape.path, place)
  }

  for (const { about, segments } of found) open(about, segments, { ended: true })

  return {
    bytes: () => total,
    async begin(lease, container) {
      const { id, attempt } = lease
      const path = layout.tape(lease)
      // Of an earlier try that failed.
      await onDisk(rm(path, { recursive: true, force: true }))
      await onDisk(mkdir(path, { mode: 0o700 }))
      const about: About = { id, attempt, container }
      await onDisk(writeFile(join(path, aboutName), JSON.stringify(about), { mode: 0o600 }))
      return open({ id, attempt }, [], { ended: false })
    },
    get: lease => tapes.get(keyOf(lease)),
    async remove(lease) {
      const trash = join(layout.scratch, randomUUID())
      try {
        await moveTo(lease, trash)
        await rm(trash, { recursive: true, force: true })
      } catch (error) {
        log.warn('A stream could not be removed', { job: lease.id, error: messageOf(error) })
      }
    },
    setAside: lease => moveTo(lease, layout.tapeAside(lease)),
    async close() {
      await Promise.all([...tapes.values()].map(tape => tape.close()))
    },
  }
}

function keyOf({ id, attempt }: Lease): string {
  return `${id} ${attempt}`
}
