import { readdir, readFile, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import * as v from 'valibot'
import { ContainerId } from '../../protocol/container.ts'
import { Lease } from '../../protocol/runner.ts'
import { offsetOf, type Segment, segmentPath } from './segments.ts'
import { lineName } from './tape.ts'
import { createUtf8 } from './utf8.ts'

export const aboutName = 'about.json'

/** Of a tape, written as it begins: what there is to say of it when its process is killed. */
export const About = v.object({ ...Lease.entries, container: ContainerId })
export type About = v.InferOutput<typeof About>

/** A tape that an earlier process has left. `line` null: the process was killed while it was being written. */
export type FoundTape = { about: About; segments: Segment[]; line: string | null }

/** @returns null when the directory is not one of a tape. */
export async function findTape(directory: string): Promise<FoundTape | null> {
  const text = await readFile(join(directory, aboutName), 'utf8').catch(() => '')
  const about = v.safeParse(v.pipe(v.string(), v.parseJson(), About), text)
  if (!about.success) return null
  const line = await readFile(join(directory, lineName), 'utf8').catch(() => null)
  return { about: about.output, segments: await segmentsOf(directory), line }
}

/**
 * Whether a directory is of a tape whose process was killed as it began it: it says nothing, or half, of what it is about, and has no output,
 * which comes after that.
 */
export async function isUnbegun(directory: string): Promise<boolean> {
  const first = segmentPath(directory, 0)
  const names = await readdir(directory)
  if (!names.every(name => name === aboutName || name === basename(first))) return false
  return !names.includes(basename(first)) || (await stat(first)).size === 0
}

export function endOf({ segments }: FoundTape): number {
  const last = segments.at(-1)
  return last === undefined ? 0 : last.from + last.bytes
}

/** Up to the first gap: nothing behind it can be told from what the container has said. */
async function segmentsOf(directory: string): Promise<Segment[]> {
  const offsets = (await readdir(directory)).map(offsetOf).filter(from => from !== null)
  const segments: Segment[] = []
  for (const from of offsets.sort((a, b) => a - b)) {
    const before = segments.at(-1)
    if (before !== undefined && before.from + before.bytes !== from) break
    segments.push({ from, bytes: (await stat(segmentPath(directory, from))).size })
  }
  return segments
}

/** Whether the whole output is text. What the edge has had is not here to be asked, so that a long one is not known to be. */
export async function isText(directory: string, { segments }: FoundTape): Promise<boolean> {
  if (segments[0]?.from !== 0) return false
  const utf8 = createUtf8()
  for (const { from } of segments) utf8.push(await readFile(segmentPath(directory, from)))
  return utf8.whole()
}
