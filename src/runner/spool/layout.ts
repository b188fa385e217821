import { join } from 'node:path'
import type { Lease } from '../../protocol/runner.ts'
import type { PayloadKind } from './entry.ts'

/**
 * The spool on disk. `batches`: one file for each batch of results, a JSON line each. `payloads`: results too large for a line,
 * as they are uploaded. `streams`: a directory for each streaming job, with its output. `scratch`: replies being read; emptied at start. `corrupt`: what could not be read, and results that the edge
 * refused, a file each with their payloads beside them; never looked at again.
 */
export type Layout = {
  batches: string
  payloads: string
  streams: string
  scratch: string
  corrupt: string
  payload(lease: Lease, kind: PayloadKind): string
  tape(lease: Lease): string
  /** Where one that cannot be reported is kept. */
  tapeAside(lease: Lease): string
  /** Where the line of a refused result is kept. */
  refused(lease: Lease): string
}

export function layoutOf(directory: string): Layout {
  const payloads = join(directory, 'payloads')
  const streams = join(directory, 'streams')
  const corrupt = join(directory, 'corrupt')
  return {
    batches: join(directory, 'batches'),
    payloads,
    streams,
    scratch: join(directory, 'scratch'),
    corrupt,
    payload: ({ id, attempt }, kind) => join(payloads, `${id}.${attempt}.${kind}`),
    tape: ({ id, attempt }) => join(streams, `${id}.${attempt}`),
    tapeAside: ({ id, attempt }) => join(corrupt, `${id}.${attempt}.stream`),
    refused: ({ id, attempt }) => join(corrupt, `${id}.${attempt}.json`),
  }
}
