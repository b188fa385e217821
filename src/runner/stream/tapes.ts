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
  /** Begins one, whose files are made while its container is called: whoever appends hears when they cannot be. */
  begin(lease: Lease, container: string): Tape
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

  /** `about` null: a tape that is there. */
  function open(lease: Lease, segments: readonly Segment[], about: About | null): Tape {
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
    const prepare = async () => {
      if (about === null) return
      // What is there already is of an earlier try, which had no output.
      await onDisk(mkdir(path, { recursive: true, mode: 0o700 }))
      const telling = onDisk(writeFile(join(path, aboutName), JSON.stringify(about), { mode: 0o600 }))
      telling.catch(() => undefined)
      await kept.begin()
      await telling
    }
    const tape = createTape({ lease, path, segments: kept, prepare, ended: about === null, bounds })
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

  for (const { about, segments } of found) open(about, segments, null)

  return {
    bytes: () => total,
    begin: ({ id, attempt }, container) => open({ id, attempt }, [], { id, attempt, container }),
    get: lease => tapes.get(keyOf(lease)),
    async remove(lease) {
      const trash = join(layout.scratch, randomUUID())
      try {
        await moveTo(lease, trash)
        await rm(trash, { recursive: true, force: true })
      } catch (error) {
        // Its directory was never made.
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
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
