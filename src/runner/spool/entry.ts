import * as v from 'valibot'
import { limits } from '../../protocol/limits.ts'
import { type Lease, type Payload, ReportedResult } from '../../protocol/runner.ts'
import type { Layout } from './layout.ts'

export type PayloadKind = 'result' | 'intermediate'

/** What has to be at the edge before the result is reported. */
export type Upload = PayloadUpload | TapeUpload

/** A payload file, to be uploaded in parts. */
export type PayloadUpload = { kind: PayloadKind; path: string; bytes: number }

/** A stream's output, `bytes` long in all, of which `heldBytes` are on disk. `uploading`: under way already. */
export type TapeUpload = {
  kind: 'stream'
  path: string
  bytes: number
  heldBytes: number
  uploading: Promise<void> | null
}

/** The file that holds an entry, with others. It goes when none of them is left; a damaged one is then set aside. */
export type Batch = { path: string; bytes: number; left: number; damaged: boolean }

/** A finished job on its way to the edge. `line` is its `ReportedResult` as JSON: the same text in the spool and on the wire. */
export type Entry = { lease: Lease; line: string; uploads: Upload[]; batch: Batch | null }

export function partsOf(bytes: number): number {
  return Math.ceil(bytes / limits.partBytes)
}

/** Reads a line of a batch file back; null when it is not one. */
export function parseEntry(
  line: string,
  { payload: payloadPath, tape: tapePath }: Pick<Layout, 'payload' | 'tape'>,
): Entry | null {
  const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), ReportedResult), line)
  if (!parsed.success) return null
  const { id, attempt, result, intermediate, stream } = parsed.output
  const lease = { id, attempt }
  const upload = (kind: PayloadKind, payload: Payload | null): Upload[] =>
    payload !== null && 'parts' in payload
      ? [{ kind, path: payloadPath(lease, kind), bytes: payload.bytes }]
      : []
  return {
    lease,
    line,
    uploads: [
      ...upload('result', result),
      ...upload('intermediate', intermediate),
      ...(stream ? [tapeUpload(tapePath(lease), stream.bytes)] : []),
    ],
    batch: null,
  }
}

/** A tape that an earlier process left. */
export function tapeUpload(path: string, bytes: number): TapeUpload {
  return { kind: 'stream', path, bytes, heldBytes: 0, uploading: null }
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
