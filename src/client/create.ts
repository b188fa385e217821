import * as v from 'valibot'
import { errorStatus } from '../protocol/error.ts'
import { JobCreated } from '../protocol/job.ts'
import { badAnswer, parse } from './answer.ts'
import { type NewJob, toBody, toJobText } from './body.ts'
import { InfernetError } from './error.ts'
import type { Answer, CallOptions, Transport } from './transport.ts'

/** `offline`: queued, but no runner that could serve it was heard of lately; it waits until one comes back, or it expires. */
export type CreatedJob = { id: string; offline: boolean }

/** What became of one job of a batch. */
export type BatchItem = { id: string } | { error: InfernetError }

const Item = v.union([
  JobCreated,
  v.object({
    error: v.string(),
    code: v.optional(v.string(), 'unknown'),
    params: v.optional(v.record(v.string(), v.unknown()), {}),
  }),
])

/** Creates a job; it is stored durably when this resolves. */
export async function createJob(
  transport: Transport,
  job: NewJob,
  { signal }: CallOptions = {},
): Promise<CreatedJob> {
  const answer = await transport.send({
    method: 'POST',
    path: '/api/jobs',
    body: toBody(toJobText(job)),
    repeatable: false,
    signal,
  })
  const { id } = parse(JobCreated, answer)
  return { id, offline: isOffline(answer) }
}

/** Creates up to 100 jobs. Each is judged by itself: the answers are in the order of the jobs. */
export async function createJobs(
  transport: Transport,
  jobs: readonly NewJob[],
  { signal }: CallOptions = {},
): Promise<BatchItem[]> {
  const answer = await transport.send({
    method: 'POST',
    path: '/api/jobs/batch',
    body: toBody(`[${jobs.map(toJobText).join(',')}]`),
    repeatable: false,
    signal,
  })
  const items = parse(v.array(Item), answer)
  if (items.length !== jobs.length) throw badAnswer(answer, `${items.length} answers to ${jobs.length} jobs`)
  return items.map(item => ('id' in item ? { id: item.id } : { error: toError(item) }))
}

type RefusedItem = { error: string; code: string; params: Record<string, unknown> }

/** A refused item has no status of its own on the wire: it gets that of the same refusal alone. */
function toError({ error, code, params }: RefusedItem): InfernetError {
  const status = (errorStatus as Record<string, number>)[code] ?? null
  return new InfernetError(error, { status, code, params })
}

function isOffline({ headers }: Answer): boolean {
  return headers.get('infernet-runner') === 'offline'
}
