import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { ReportedResult } from '../../protocol/runner.ts'
import { errorResult } from '../job/envelope.ts'
import type { Log } from '../log.ts'
import { textOf } from '../rope.ts'
import { endOf, type FoundTape, findTape, isText, isUnbegun } from '../stream/found.ts'
import { runnerStopped } from '../stream/record.ts'
import { type Entry, parseEntry } from './entry.ts'
import type { Layout } from './layout.ts'
import { setAside } from './set-aside.ts'

/** Tapes of an earlier process, by their directories. */
export type Tapes = Map<string, FoundTape>

/** As a tape's directory is called: by its lease. */
const leaseName = /^[0-9a-f-]{36}\.\d+$/

/** What is none is set aside, but for those that were about to be one: of them the edge gives the job out again. */
export async function findTapes(layout: Layout, log: Log): Promise<Tapes> {
  const tapes: Tapes = new Map()
  for (const name of await readdir(layout.streams)) {
    const path = join(layout.streams, name)
    const tape = await findTape(path).catch(() => null)
    if (tape !== null && layout.tape(tape.about) === path) tapes.set(path, tape)
    else if (leaseName.test(name) && (await isUnbegun(path).catch(() => false)))
      await rm(path, { recursive: true, force: true })
    else await setAside(path, { layout, log })
  }
  return tapes
}

/**
 * Entries for tapes that no batch names. One with its line is a result that was on its way into a batch. Another one was cut off: its
 * job is reported as failed if there is output, since that may have been read. Without any, the edge gives the job out again.
 */
export async function entriesOfTapes(
  layout: Layout,
  tapes: Tapes,
  entries: readonly Entry[],
): Promise<Entry[]> {
  const named = new Set(entries.flatMap(({ uploads }) => uploads.map(({ path }) => path)))
  const made: Entry[] = []
  for (const [path, tape] of tapes) {
    if (named.has(path)) continue
    if (endOf(tape) > 0) made.push(finished(layout, tape) ?? (await cutOff(layout, path, tape)))
    else {
      tapes.delete(path)
      await rm(path, { recursive: true, force: true })
    }
  }
  return made
}

function finished(layout: Layout, tape: FoundTape): Entry | null {
  const entry = tape.line === null ? null : parseEntry(tape.line, layout)
  const [upload] = entry?.uploads.filter(({ kind }) => kind === 'stream') ?? []
  return upload?.path === layout.tape(tape.about) && upload.bytes === endOf(tape) ? entry : null
}

async function cutOff(layout: Layout, path: string, tape: FoundTape): Promise<Entry> {
  const { id, attempt, container } = tape.about
  const bytes = endOf(tape)
  const reported: ReportedResult = {
    id,
    attempt,
    status: 'failed',
    error_code: runnerStopped.code,
    result: { text: textOf(errorResult(container, runnerStopped)) ?? '' },
    intermediate: null,
    stream: { bytes, utf8: await isText(path, tape) },
  }
  const upload = { kind: 'stream', path: layout.tape(tape.about), bytes } as const
  return { lease: { id, attempt }, line: JSON.stringify(reported), uploads: [upload], batch: null }
}
