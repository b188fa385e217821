import * as v from 'valibot'
import { Job, JobResult } from '../protocol/job.ts'
import { parse, textOf } from './answer.ts'
import type { Answer, CallOptions, Transport } from './transport.ts'

export type ResultsOptions = CallOptions & {
  /** Adds `intermediate_results`: what the containers before the last one said. */
  intermediate?: boolean
}

/** One job in full. @throws InfernetError `not_found` when it is unknown, or another owner's. */
export async function getJob(transport: Transport, id: string, { signal }: CallOptions = {}): Promise<Job> {
  const path = `/api/jobs/${encodeURIComponent(id)}`
  return parse(Job, await transport.send({ method: 'GET', path, repeatable: true, signal }))
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
