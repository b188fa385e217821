import * as v from 'valibot'
import { Job, JobResult } from '../protocol/job.ts'
import { parse, textOf } from './answer.ts'
import type { Answer, CallOptions, Transport } from './transport.ts'

export type ResultsOptions = CallOptions & {
  /** Adds `intermediate_results`: what the containers before the last one said. */
  intermediate?: boolean
}

export type GetJobOptions = CallOptions & {
  /** How long the node may wait for the job's end before it answers: 25,000 ms at most. */
  waitMs?: number
}

/** One job in full. @throws InfernetError `not_found` when it is unknown, or another owner's. */
export async function getJob(
  transport: Transport,
  id: string,
  { waitMs = 0, signal }: GetJobOptions = {},
): Promise<Job> {
  const query = new URLSearchParams(waitMs > 0 ? { wait: String(waitMs / 1000) } : {})
  const request = { method: 'GET', path: pathOf(id), query, waitMs, repeatable: true, signal } as const
  return parse(Job, await transport.send(request))
}

/**
 * Ends a job that waits or runs. @returns it, cancelled; the second time too.
 * @throws InfernetError `already_ended` when it ended otherwise, `not_found`.
 */
export async function cancelJob(
  transport: Transport,
  id: string,
  { signal }: CallOptions = {},
): Promise<Job> {
  const request = { method: 'DELETE', path: pathOf(id), repeatable: true, signal } as const
  return parse(Job, await transport.send(request))
}

function pathOf(id: string): string {
  return `/api/jobs/${encodeURIComponent(id)}`
}

/** Results of up to 100 jobs, ended ones first. Ids that are unknown, or another owner's, are left out. */
export async function getResults(
  transport: Transport,
  ids: readonly string[],
  options: ResultsOptions = {},
): Promise<JobResult[]> {
  if (ids.length === 0) return []
  return parse(v.array(JobResult), await readResults(transport, ids, options))
}

/** The same as the JSON text that the node sent, with every number as its container wrote it. */
export async function getResultsText(
  transport: Transport,
  ids: readonly string[],
  options: ResultsOptions = {},
): Promise<string> {
  if (ids.length === 0) return '[]'
  const answer = await readResults(transport, ids, options)
  parse(v.array(JobResult), answer)
  return textOf(answer)
}

async function readResults(
  transport: Transport,
  ids: readonly string[],
  { intermediate = false, signal }: ResultsOptions,
): Promise<Answer> {
  const query = new URLSearchParams(ids.map(id => ['id', id]))
  if (intermediate) query.set('intermediate', 'true')
  return await transport.send({ method: 'GET', path: '/api/jobs', query, repeatable: true, signal })
}
