import type { Lease } from '../../protocol/runner.ts'
import { DamagedError } from '../damaged.ts'
import type { Edge } from '../edge/connect.ts'
import { isFinal } from '../edge/retry.ts'
import type { Log } from '../log.ts'
import type { Notice } from '../notice.ts'
import { createTrouble, messageOf } from '../trouble.ts'
import type { Bounds } from './bounds.ts'
import type { Tape } from './tape.ts'
import type { Tapes } from './tapes.ts'
import { uploadTape } from './upload.ts'

/** The uploads of tapes, one for each, beside everything else. */
export type Streams = {
  readonly tapes: Tapes
  readonly bounds: Bounds
  /** Takes a tape to the edge while it is written, until the job is cancelled or lost. `signal`: the job's own. */
  upload(tape: Tape, signal: AbortSignal): void
  /**
   * Resolves when the edge has all of an ended tape, or nobody wants the rest; begins where no upload is under way.
   * @throws EdgeError when the edge refuses it for good, DamagedError, or an error after which it may be tried again.
   */
  delivered(lease: Lease): Promise<void>
  /** Ends the upload, and removes the tape. */
  abandon(tape: Tape): Promise<void>
}

export type StreamsOptions = {
  edge: Edge
  tapes: Tapes
  bounds: Bounds
  /** Posted when the edge is back. */
  back: Notice
  /** Nobody wants the rest of a job's output: its container may stop. */
  onUnwanted: (lease: Lease) => void
  /** The edge takes no output of this lease. */
  onRefused: (lease: Lease) => void
  log: Log
  signal: AbortSignal
}

type Upload = { controller: AbortController; done: Promise<void> }

/** What ends an upload together with its job. After anything else the edge gets what there is. */
const endings: ReadonlySet<unknown> = new Set(['cancelled', 'lost'])

export function createStreams(options: StreamsOptions): Streams {
  const { edge, tapes, bounds, back, onUnwanted, onRefused, log, signal } = options
  const trouble = createTrouble({ log, what: 'Uploading output' })
  const uploads = new Map<Tape, Upload>()

  function begin(tape: Tape): Upload {
    const controller = new AbortController()
    const end = () => controller.abort(signal.reason)
    if (signal.aborted) end()
    signal.addEventListener('abort', end, { once: true })
    const done = uploadTape({ edge, tape, bounds, trouble, back, signal: controller.signal })
      .then(how => {
        if (how === 'unwanted') onUnwanted(tape.lease)
      })
      .catch((error: unknown) => {
        if (!isFinal(error)) log.error('An upload of output failed', { error: messageOf(error) })
        onRefused(tape.lease)
        throw error
      })
      .finally(() => signal.removeEventListener('abort', end))
    // It is told to whoever waits for the delivery, later.
    done.catch(() => {})
    const upload = { controller, done }
    uploads.set(tape, upload)
    return upload
  }

  return {
    tapes,
    bounds,
    upload(tape, jobSignal) {
      const { controller } = begin(tape)
      jobSignal.addEventListener('abort', () => {
        if (endings.has(jobSignal.reason)) controller.abort(jobSignal.reason)
      })
    },
    async delivered(lease) {
      const tape = tapes.get(lease)
      if (tape === undefined) throw new DamagedError('The output is gone')
      const upload = uploads.get(tape) ?? begin(tape)
      await upload.done.finally(() => uploads.delete(tape))
    },
    async abandon(tape) {
      uploads.get(tape)?.controller.abort('abandoned')
      uploads.delete(tape)
      await tapes.remove(tape.lease)
    },
  }
}
