import type { Context as App } from '../context.ts'
import { readOutput } from '../jobs/output.ts'
import { type JobRow, readJobs } from '../jobs/read.ts'
import type { Patience } from './patience.ts'

/**
 * A piece of output, which ends at offset `end`; or what became of the job, last of all. `gone`: output that is not stored has passed
 * while this reader was away, there never was any so far, the job itself is gone, or there is no room for another reader.
 */
export type Piece =
  | { kind: 'output'; bytes: Uint8Array; end: number }
  | { kind: 'ended'; row: JobRow }
  | { kind: 'gone'; why: Why }

export type Why = 'passed' | 'beyond' | 'crowded' | 'lost'

/** How far a reader has come. */
export type Place = { offset: number }

export type StoredOptions = {
  app: App
  job: { id: string; owner: string }
  /** Aborts when the client leaves, or the host closes: then what is read here fails, since an end would be taken for the stream's. */
  signal: AbortSignal
}

/** The job as it stands. null: it is gone. */
export async function lookAt(
  { app, job, signal }: StoredOptions,
  patience: Patience,
): Promise<JobRow | null> {
  while (!signal.aborted) {
    try {
      const [row] = await readJobs(app.db, { owner: job.owner, ids: [job.id] })
      patience.succeeded()
      return row ?? null
    } catch (error) {
      await patience.failed(error)
    }
  }
  throw signal.reason
}

export type Reach = { place: Place; row: JobRow; to: number; patience: Patience }

/** Output as it is stored, up to an offset. */
export async function* readStored(
  { app, signal }: StoredOptions,
  { place, row, to, patience }: Reach,
): AsyncGenerator<Piece> {
  const { id, attempt } = row
  while (place.offset < to && !signal.aborted) {
    try {
      for await (const bytes of readOutput(app.db, { id, attempt, from: place.offset, to })) {
        place.offset += bytes.byteLength
        patience.succeeded()
        yield { kind: 'output', bytes, end: place.offset }
      }
    } catch (error) {
      await patience.failed(error)
    }
  }
  signal.throwIfAborted()
}
