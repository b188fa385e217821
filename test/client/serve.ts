import type { ClaimedJob, ControlAnswer, ReportedResult } from '../../src/protocol/runner.ts'
import { success, type TestRunner } from '../support/runner.ts'
import { streamed } from '../support/stream.ts'

/**
 * Answers every job of a runner, until disposed, with what `answer` makes of it: by default its own input, byte for byte. That is also
 * what is streamed.
 */
export function serve(
  runner: TestRunner,
  answer: (job: ClaimedJob) => ReportedResult = job => success(job, job.data ?? 'null'),
): AsyncDisposable {
  let stopped = false
  const loop = (async () => {
    while (!stopped) {
      const jobs = await runner.claim({ wait_ms: 200 })
      const results = jobs.map(async job => (job.destination === 2 ? await stream(runner, job) : answer(job)))
      if (jobs.length > 0) await runner.report(await Promise.all(results))
    }
  })()
  return {
    async [Symbol.asyncDispose]() {
      stopped = true
      await loop
    },
  }
}

async function stream(runner: TestRunner, job: ClaimedJob): Promise<ReportedResult> {
  const body = job.data ?? ''
  await runner.send(`/runner/jobs/${job.id}/stream?attempt=${job.attempt}&from=0`, { method: 'PUT', body })
  return streamed(job, { bytes: Buffer.byteLength(body) })
}

/** A report of a job whose container failed. */
export function failure({ id, attempt, containers }: ClaimedJob, error: string): ReportedResult {
  const result = { text: JSON.stringify({ container: containers.at(-1), error }) }
  return {
    id,
    attempt,
    status: 'failed',
    error_code: 'container_failed',
    result,
    intermediate: null,
    stream: null,
  }
}

/** A report of a chain: each container but the last said `said`, the last one `output`; both are JSON text. */
export function chained(job: ClaimedJob, { said, output }: { said: string; output: string }): ReportedResult {
  const before = job.containers.slice(0, -1).map(id => `{"container":${JSON.stringify(id)},"output":${said}}`)
  return { ...success(job, output), intermediate: { text: `[${before.join(',')}]` } }
}

/** Waits for a question to this runner, and answers it. @returns the model asked about. */
export async function answerQuestion(
  { instance, post }: TestRunner,
  answer: Record<string, unknown>,
): Promise<string | null> {
  const response = await post('/runner/control', { instance, holding: [], mode: 'run', wait_ms: 10_000 })
  const [question] = ((await response.json()) as ControlAnswer).questions
  if (!question) throw new Error('No question was asked')
  await post('/runner/answer', { instance, question: question.id, answer: JSON.stringify(answer) })
  return question.model_id
}
