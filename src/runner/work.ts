import { destination } from '../protocol/job.ts'
import type { ClaimedJob, ReportedResult } from '../protocol/runner.ts'
import { type Disk, DiskError } from './disk.ts'
import { errorResult } from './job/envelope.ts'
import { type Outcome, type RunOptions, runJob } from './job/run.ts'
import type { Scratch, ScratchSpace } from './job/scratch.ts'
import type { Held, Leases } from './leases.ts'
import type { Log } from './log.ts'
import { outlast } from './outlast.ts'
import type { Reporter } from './report.ts'
import type { Rope } from './rope.ts'
import type { Entry, PayloadKind, Upload } from './spool/entry.ts'
import type { Spool } from './spool/spool.ts'
import { runStream, type StreamRunOptions } from './stream/run.ts'
import type { Streams } from './stream/streams.ts'
import type { Tally } from './tally.ts'
import { messageOf } from './trouble.ts'

export type WorkOptions = Omit<RunOptions, 'job' | 'scratch' | 'controller' | 'onStart'> & {
  streams: Streams
  scratchSpace: ScratchSpace
  leases: Leases
  spool: Spool
  disk: Disk
  reporter: Reporter
  tally: Tally
  /** A job has started only after a wait, so the heartbeat does not know yet. */
  onLateStart: (held: Held) => void
  /** A job's result is with the reporter, or the job was cut off. */
  onEnd: () => void
  log: Log
}

/** Starts the jobs of a claim. Answers the leases that are new. */
export function workOn(options: WorkOptions, jobs: readonly ClaimedJob[]): Held[] {
  const taken: Held[] = []
  let claimed = false
  const onStart = (held: Held) => {
    if (held.started) return
    held.started = true
    // Most jobs start right here, and the caller tells of them all at once.
    if (claimed) options.onLateStart(held)
  }
  for (const job of jobs) {
    const held = options.leases.take(job)
    if (held === null) continue
    taken.push(held)
    options.slots.reserve(job.containers)
    void seeThrough(options, { job, held, onStart })
  }
  claimed = true
  return taken
}

type Task = { job: ClaimedJob; held: Held; onStart: (held: Held) => void }

// --- I have a lease: every path out of here reports the job, but for a runner that is being stopped at once, and a job that is cut
// --- off while the disk fails. It has not failed: its lease lapses and somebody else runs it, if it was not cancelled.

async function seeThrough(options: WorkOptions, task: Task): Promise<void> {
  const { job, held } = task
  const { leases, reporter, slots, streams, onEnd } = options
  const scratch = options.scratchSpace.forJob()
  const ended = options.tally.begin(job)
  try {
    const outcome = await outcomeOf(options, task, scratch)
    slots.release(job.containers)
    const wanted = outcome !== null && (hasOutput(outcome) || held.controller.signal.reason !== 'stopped')
    const entry = wanted ? await entryOf(options, task, outcome) : null
    if (entry === null) leases.drop(held)
    else reporter.add(entry)
    const { container, code } = outcome?.failure ?? {}
    ended({ outcome: entry === null ? 'cut_off' : (code ?? 'success'), container })
    held.finished = true
    if (outcome?.stream?.tape && !isUploaded(entry)) await streams.abandon(outcome.stream.tape)
  } finally {
    ended({ outcome: 'internal' })
    await scratch.clear()
  }
  onEnd()
}

/** Nobody else may run a job whose output may have been read. */
function hasOutput({ stream }: Outcome): boolean {
  return stream !== null && stream.tape !== null && stream.tape.bytes() > 0
}

function isUploaded(entry: Entry | null): boolean {
  return entry?.uploads.some(({ kind }) => kind === 'stream') ?? false
}

/** Null when the job was cut off while the disk failed. */
async function outcomeOf(options: WorkOptions, task: Task, scratch: Scratch): Promise<Outcome | null> {
  const { job, held, onStart } = task
  // Begins within this call, so that the claim's jobs are told as started together.
  const run = () =>
    runEither({
      ...options,
      job,
      scratch,
      controller: held.controller,
      onStart: () => onStart(held),
    }).catch(async (error: unknown) => {
      await scratch.clear()
      throw error
    })
  try {
    return await outlast(options.disk, held.controller.signal, run)
  } catch (error) {
    return error instanceof DiskError ? null : surprise(options, { job, error })
  }
}

function runEither(options: RunOptions & StreamRunOptions): Promise<Outcome> {
  return options.job.destination === destination.stream ? runStream(options) : runJob(options)
}

/** Null as above. */
async function entryOf(options: WorkOptions, task: Task, outcome: Outcome): Promise<Entry | null> {
  if (outcome.failure) logFailure(options.log, { job: task.job, failure: outcome.failure })
  try {
    return await store(options, task, outcome)
  } catch (error) {
    if (error instanceof DiskError) return null
    return await store(options, task, surprise(options, { job: task.job, error }))
  }
}

// --- The lease is the reporter's.

async function store({ spool, disk }: WorkOptions, { job, held }: Task, outcome: Outcome): Promise<Entry> {
  const lease = { id: job.id, attempt: job.attempt }
  const uploads: Upload[] = []
  const keep = async (kind: PayloadKind, rope: Rope) => {
    const { payload, upload } = await outlast(disk, held.controller.signal, () =>
      spool.store(lease, kind, rope),
    )
    if (upload !== null) uploads.push(upload)
    return payload
  }
  try {
    const reported: ReportedResult = {
      ...lease,
      status: outcome.failure ? 'failed' : 'success',
      error_code: outcome.failure?.code ?? null,
      result: await keep('result', outcome.result),
      intermediate: outcome.intermediate && (await keep('intermediate', outcome.intermediate)),
      images: outcome.images,
      stream: outcome.stream && { bytes: outcome.stream.tape?.bytes() ?? 0, utf8: outcome.stream.utf8 },
    }
    const line = JSON.stringify(reported)
    const tape = outcome.stream?.tape
    if (tape && tape.bytes() > 0) {
      // A disk that fails costs safety, not results: what cannot be made durable can still be read.
      await tape.seal(line).catch(disk.failed)
      uploads.push({ kind: 'stream', path: tape.path, bytes: tape.bytes() })
    }
    return { lease, line, uploads, batch: null }
  } catch (error) {
    spool.release({ lease, line: '', uploads, batch: null })
    throw error
  }
}

/** Something that should not happen. The requester is told that much and the log the rest. */
function surprise({ log }: WorkOptions, { job, error }: { job: ClaimedJob; error: unknown }): Outcome {
  log.error('A job failed in the runner itself', { job: job.id, error: messageOf(error) })
  const container = job.containers.at(-1) ?? ''
  const failure = { code: 'internal', error: 'The runner failed', detail: 'internal', container } as const
  return { failure, result: errorResult(container, failure), intermediate: null, stream: null, images: {} }
}

function logFailure(
  log: Log,
  { job, failure }: { job: ClaimedJob; failure: NonNullable<Outcome['failure']> },
): void {
  log.warn('Container error', {
    job: job.id,
    container: failure.container,
    code: failure.code,
    detail: failure.detail,
  })
}
