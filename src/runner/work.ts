import type { ClaimedJob, ReportedResult } from '../protocol/runner.ts'
import { errorResult } from './job/envelope.ts'
import { type Outcome, type RunOptions, runJob } from './job/run.ts'
import type { ScratchSpace } from './job/scratch.ts'
import type { Held, Leases } from './leases.ts'
import type { Log } from './log.ts'
import type { Reporter } from './report.ts'
import type { Entry } from './spool/entry.ts'
import type { Spool } from './spool/spool.ts'
import { messageOf } from './trouble.ts'

export type WorkOptions = Omit<RunOptions, 'job' | 'scratch' | 'controller' | 'onStart'> & {
  scratchSpace: ScratchSpace
  leases: Leases
  spool: Spool
  reporter: Reporter
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

// --- I have a lease: every path out of here reports the job, but for a runner that is being stopped at once. A job cut off then
// --- has not failed: its lease lapses and somebody else runs it.

async function seeThrough(options: WorkOptions, { job, held, onStart }: Task): Promise<void> {
  const { leases, reporter, slots, onEnd, log } = options
  const scratch = options.scratchSpace.forJob()
  try {
    const run = runJob({
      ...options,
      job,
      scratch,
      controller: held.controller,
      onStart: () => onStart(held),
    })
    const outcome = await run.catch((error: unknown) => surprise(options, { job, error }))
    slots.release(job.containers)
    if (held.controller.signal.reason === 'stopped') leases.drop(held)
    else {
      if (outcome.failure) logFailure(log, { job, failure: outcome.failure })
      reporter.add(await entryOf(options, { job, outcome }))
    }
    held.finished = true
  } finally {
    await scratch.clear()
  }
  onEnd()
}

async function entryOf(
  options: WorkOptions,
  { job, outcome }: { job: ClaimedJob; outcome: Outcome },
): Promise<Entry> {
  try {
    return await store(options.spool, { job, outcome })
  } catch (error) {
    return await store(options.spool, { job, outcome: surprise(options, { job, error }) })
  }
}

// --- The lease is the reporter's.

async function store(spool: Spool, { job, outcome }: { job: ClaimedJob; outcome: Outcome }): Promise<Entry> {
  const lease = { id: job.id, attempt: job.attempt }
  const result = await spool.store(lease, 'result', outcome.result)
  const intermediate =
    outcome.intermediate && (await spool.store(lease, 'intermediate', outcome.intermediate))
  const reported: ReportedResult = {
    ...lease,
    status: outcome.failure ? 'failed' : 'success',
    error_code: outcome.failure?.code ?? null,
    result: result.payload,
    intermediate: intermediate?.payload ?? null,
  }
  const uploads = [result.upload, intermediate?.upload].filter(upload => upload != null)
  return { lease, line: JSON.stringify(reported), uploads, batch: null }
}

/** Something that should not happen, such as a full disk. The requester is told that much and the log the rest. */
function surprise({ log }: WorkOptions, { job, error }: { job: ClaimedJob; error: unknown }): Outcome {
  log.error('A job failed in the runner itself', { job: job.id, error: messageOf(error) })
  const container = job.containers.at(-1) ?? ''
  const failure = { code: 'internal', error: 'The runner failed', detail: 'internal', container } as const
  return { failure, result: errorResult(container, failure), intermediate: null }
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
