import * as v from 'valibot'
import { limits } from '../../protocol/limits.ts'
import { type Lease, type Payload, ReportedResult } from '../../protocol/runner.ts'
import type { Layout } from './layout.ts'

export type PayloadKind = 'result' | 'intermediate'

/** A payload file to be uploaded in parts before the result is reported. */
export type PartsUpload = { kind: PayloadKind; path: string; bytes: number }

/** What the edge is to have before the result is reported: a payload, or the output of a stream, whose `path` is its tape's. */
export type Upload = PartsUpload | { kind: 'stream'; path: string; bytes: number }

/** The file that holds an entry, with others. It goes when none of them is left; a damaged one is then set aside. */
export type Batch = { path: string; bytes: number; left: number; damaged: boolean }

/** A finished job on its way to the edge. `line` is its `ReportedResult` as JSON: the same text in the spool and on the wire. */
export type Entry = { lease: Lease; line: string; uploads: Upload[]; batch: Batch | null }

export function partsOf(bytes: number): number {
  return Math.ceil(bytes / limits.partBytes)
}

/** Reads a line of a batch file back; null when it is not one. */
export function parseEntry(line: string, layout: Pick<Layout, 'payload' | 'tape'>): Entry | null {
  const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), ReportedResult), line)
  if (!parsed.success) return null
  const { id, attempt, result, intermediate, stream } = parsed.output
  const lease = { id, attempt }
  const upload = (kind: PayloadKind, payload: Payload | null): Upload[] =>
    payload !== null && 'parts' in payload
      ? [{ kind, path: layout.payload(lease, kind), bytes: payload.bytes }]
      : []
  const uploads = [...upload('result', result), ...upload('intermediate', intermediate)]
  const bytes = stream?.bytes ?? 0
  if (bytes > 0) uploads.push({ kind: 'stream', path: layout.tape(lease), bytes })
  return { lease, line, uploads, batch: null }
}

/**
 * What one report carries, in characters of its lines: it gets through uplinks that are slow, and proxies whose usual bound is 1 MiB.
 * A single line may be longer.
 */
const reportChars = 512 * 1024

/** The next entries that go into one request: at most `limits.reportResults`, and `reportChars` of lines. */
export function takeBatch(entries: Entry[]): Entry[] {
  let chars = 0
  let count = 0
  for (const { line } of entries) {
    chars += line.length
    if (count > 0 && (count === limits.reportResults || chars > reportChars)) break
    count++
  }
  return entries.splice(0, count)
}
