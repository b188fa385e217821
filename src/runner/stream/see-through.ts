import type { ReportedResult } from '../../protocol/runner.ts'
import { outlast } from '../disk.ts'
import { EdgeError } from '../edge/error.ts'
import { errorResult } from '../job/envelope.ts'
import type { Entry } from '../spool/entry.ts'
import { createTrouble, messageOf } from '../trouble.ts'
import type { Task, WorkOptions } from '../work.ts'
import { runStream, type StreamOutcome } from './run.ts'
import { createTape, removeTape, type Tape } from './tape.ts'
import { uploadTape } from './upload.ts'

/** Reasons after which nobody wants the output any more. Others end the container's call, and what there is goes to the edge. */
const unwanted = new Set(['cancelled', 'lost', 'stopped'])

/** A streaming job from its lease to the reporter, as `seeThrough` is for others. */
export async function seeStreamThrough(options: WorkOptions, task: Task): Promise<void> {
  const { job, held } = task
  const { leases, reporter, slots, onEnd, log } = options
  const path = options.spool.layout.tape(held)
  const over = new AbortController()
  const { signal } = held.controller
  const stop = () => unwanted.has(String(signal.reason)) && over.abort(signal.reason)
  signal.addEventListener('abort', stop)
  let tape: Tape | null = null
  let uploading: Promise<void> = Promise.resolve()

  async function begin(): Promise<Tape> {
    await tape?.close()
    await removeTape(path)
    tape = await createTape(path, { ...leaseOf(task), container: job.containers[0] ?? '' })
    uploading = upload(tape)
    // Whoever reports the job awaits it.
    uploading.catch(() => {})
    return tape
  }

  async function upload(of: Tape): Promise<void> {
    const trouble = createTrouble({ log, what: 'Uploading a stream' })
    try {
      await uploadTape({
        edge: options.edge,
        lease: leaseOf(task),
        tape: of,
        trouble,
        back: options.back,
        onStop: () => held.controller.abort('cancelled'),
        signal: AbortSignal.any([over.signal, options.signal]),
      })
    } catch (error) {
      // The edge will have none of it: somebody else has the job, or nobody.
      if (error instanceof EdgeError && error.retry === 'never') held.controller.abort('lost')
      throw error
    }
  }

  const outcome = await outcomeOf(options, task, begin)
  slots.release(job.containers.slice(0, 1))
  const isWanted = !unwanted.has(String(signal.reason))
  const entry =
    outcome && (await entryOf(options, { task, outcome, tape: isWanted ? tape : null, uploading }))
  if (!isWanted) await drop(options, { task, tape, path })
  if (entry === null || signal.reason === 'stopped') leases.drop(held)
  else reporter.add(entry)
  held.finished = true
  signal.removeEventListener('abort', stop)
  onEnd()
}

/** Null when the job was cut off while the disk failed. */
async function outcomeOf(
  options: WorkOptions,
  { job, held, onStart }: Task,
  begin: () => Promise<Tape>,
): Promise<StreamOutcome | null> {
  const { controller } = held
  const run = () => runStream({ ...options, job, controller, onStart: () => onStart(held), begin })
  try {
    return await outlast(options.disk, controller.signal, run)
  } catch (error) {
    if (error instanceof Error && error.name === 'DiskError') return null
    options.log.error('A stream failed in the runner itself', { job: job.id, error: messageOf(error) })
    const failure = { code: 'internal', error: 'The runner failed', detail: 'internal' } as const
    return { failure: { ...failure, container: job.containers[0] ?? '' }, bytes: 0, utf8: true }
  }
}

type Ended = { task: Task; outcome: StreamOutcome; tape: Tape | null; uploading: Promise<void> }

async function entryOf(options: WorkOptions, { task, outcome, tape, uploading }: Ended): Promise<Entry> {
  const { failure, bytes, utf8 } = outcome
  const [container = ''] = task.job.containers
  if (failure)
    options.log.warn('Container error', {
      job: task.job.id,
      container,
      code: failure.code,
      detail: failure.detail,
    })
  const text = failure ? errorResult(container, failure).join('') : JSON.stringify({ container })
  const reported: ReportedResult = {
    ...leaseOf(task),
    status: failure ? 'failed' : 'success',
    error_code: failure?.code ?? null,
    result: { text },
    intermediate: null,
    stream: tape && { bytes, utf8 },
  }
  // A disk that fails costs safety, not output: what is in memory is uploaded all the same.
  await tape?.finish().catch(options.disk.failed)
  const uploads = tape ? [options.spool.holdTape(tape, { bytes, uploading })] : []
  return { lease: leaseOf(task), line: JSON.stringify(reported), uploads, batch: null }
}

/** What a runner that is stopped leaves, its successor reports. */
async function drop(
  _: WorkOptions,
  { task, tape, path }: { task: Task; tape: Tape | null; path: string },
): Promise<void> {
  await tape?.finish().catch(() => {})
  await tape?.close()
  if (task.held.controller.signal.reason !== 'stopped') await removeTape(path)
}

function leaseOf({ job }: Task): { id: string; attempt: number } {
  return { id: job.id, attempt: job.attempt }
}
