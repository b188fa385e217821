import * as v from 'valibot'
import { errorStatus } from '../protocol/error.ts'
import { isIdempotencyKey } from '../protocol/idempotency-key.ts'
import { Job, JobCreated } from '../protocol/job.ts'
import { limits } from '../protocol/limits.ts'
import { badAnswer, parse } from './answer.ts'
import { type NewJob, toBody, toJobText } from './body.ts'
import { InfernetError, invalid } from './error.ts'
import { isTransient } from './retry.ts'
import type { Answer, CallOptions, Request, Transport } from './transport.ts'

export type CreateOptions = CallOptions & {
  /**
   * Makes sending again harmless: the same key with the same job is the same job, for 24 hours. Absent: one is made for this call, so
   * that a lost answer is asked for again. Null: none is sent, and nothing is sent again that may have been carried out; for nodes that
   * do not know keys, as the reference's.
   */
  idempotencyKey?: string | null
}

export type CreateJobOptions = CreateOptions & {
  /** A UUID in lower case that nobody else can guess: the job's id, and its key. */
  id?: string
}

/**
 * `offline`: queued, but no runner that could serve it was heard of lately; it waits until one comes back, or it expires. `replayed`: an
 * earlier request made it.
 */
export type CreatedJob = { id: string; offline: boolean; replayed: boolean }

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

/**
 * Creates a job; it is stored durably when this resolves.
 * @throws InfernetError `idempotency_conflict` when the key, or the id, stands for another job.
 */
export async function createJob(
  transport: Transport,
  job: NewJob,
  options: CreateJobOptions = {},
): Promise<CreatedJob> {
  const answer = await transport.send(creation(job, options))
  const { id } = parse(JobCreated, answer)
  const { headers } = answer
  return {
    id,
    offline: headers.get('infernet-runner') === 'offline',
    replayed: headers.get('idempotent-replayed') === 'true',
  }
}

/**
 * Creates a job, and waits for its end so long. An answer that is lost is asked for again without waiting: what stands between may cut
 * answers that take long.
 * @returns its id, and the job as it is then; null when the node did not wait.
 */
export async function createAndWait(
  transport: Transport,
  job: NewJob,
  { waitMs, ...options }: CreateJobOptions & { waitMs: number },
): Promise<{ id: string; job: Job | null }> {
  const request = creation(job, options)
  const query = new URLSearchParams({ wait: String(waitMs / 1000) })
  const answer = await transport
    .send({ ...request, query, waitMs, repeatable: false })
    .catch(async (error: unknown) => {
      if (request.repeatable && error instanceof InfernetError && isTransient(error))
        return await transport.send(request)
      throw error
    })
  const seen = parse(v.union([Job, JobCreated]), answer)
  return { id: seen.id, job: 'state' in seen ? seen : null }
}

function creation(job: NewJob, { id, idempotencyKey, signal }: CreateJobOptions): Request {
  const body = toBody(toJobText(job))
  return id === undefined
    ? { method: 'POST', path: '/api/jobs', body, signal, ...once(idempotencyKey) }
    : { method: 'PUT', path: `/api/jobs/${encodeURIComponent(id)}`, body, signal, repeatable: true }
}

export function once(key: string | null = createKey()): Pick<Request, 'headers' | 'repeatable'> {
  return key === null
    ? { repeatable: false }
    : { headers: { 'idempotency-key': checkedKey(key) }, repeatable: true }
}

/** 128 random bits. Browsers keep `crypto.randomUUID` from pages without TLS. */
function createKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  return Array.from(bytes, byte => byte.toString(16).padStart(2, '0')).join('')
}

/** Here, since some keys cannot even be sent. */
function checkedKey(key: string): string {
  if (isIdempotencyKey(key)) return key
  throw invalid(`Invalid idempotency key: must be 1-${limits.idempotencyKeyLength} visible ASCII characters`)
}

/** Creates up to 100 jobs. Each is judged by itself: the answers are in the order of the jobs. */
export async function createJobs(
  transport: Transport,
  jobs: readonly NewJob[],
  { idempotencyKey, signal }: CreateOptions = {},
): Promise<BatchItem[]> {
  const answer: Answer = await transport.send({
    method: 'POST',
    path: '/api/jobs/batch',
    body: toBody(`[${jobs.map(toJobText).join(',')}]`),
    signal,
    ...once(idempotencyKey),
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
