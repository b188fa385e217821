import type { DelegatedCreated } from '../protocol/delegated.ts'
import type { Job, JobResult } from '../protocol/job.ts'
import type { Health, Info, Ready, Resources } from '../protocol/node.ts'
import type { NewJob } from './body.ts'
import {
  type BatchItem,
  type CreatedJob,
  type CreateJobOptions,
  type CreateOptions,
  createJob,
  createJobs,
} from './create.ts'
import { createDelegatedSubscription, type NewDelegated } from './delegated.ts'
import { type ListOptions, listJobs } from './list.ts'
import { health, info, type ResourcesOptions, ready, resources } from './node.ts'
import { getOutputText } from './output.ts'
import {
  cancelJob,
  type GetJobOptions,
  getJob,
  getResults,
  getResultsText,
  type ResultsOptions,
} from './read.ts'
import { type JobStream, resumeStream, type StreamOptions, stream } from './stream.ts'
import { type CallOptions, createTransport, type TransportOptions } from './transport.ts'
import { runJob, type WaitOptions, waitForJob } from './wait.ts'

/** A node, over HTTP. Every call may throw InfernetError, or the reason of its `signal`. */
export type Client = {
  createJob(job: NewJob, options?: CreateJobOptions): Promise<CreatedJob>
  createJobs(jobs: readonly NewJob[], options?: CreateOptions): Promise<BatchItem[]>
  createDelegatedSubscription(request: NewDelegated, options?: CallOptions): Promise<DelegatedCreated>
  runJob(job: NewJob, options?: CreateJobOptions & WaitOptions): Promise<Job>
  cancelJob(id: string, options?: CallOptions): Promise<Job>
  getJob(id: string, options?: GetJobOptions): Promise<Job>
  getResults(ids: readonly string[], options?: ResultsOptions): Promise<JobResult[]>
  getResultsText(ids: readonly string[], options?: ResultsOptions): Promise<string>
  getOutputText(id: string, options?: CallOptions): Promise<string | null>
  listJobs(options?: ListOptions): AsyncGenerator<string, void, undefined>
  waitForJob(id: string, options?: WaitOptions): Promise<Job>
  stream(job: NewJob, options?: StreamOptions): JobStream
  resumeStream(id: string, options?: StreamOptions & { from?: number }): JobStream
  health(options?: CallOptions): Promise<Health>
  info(options?: CallOptions): Promise<Info>
  ready(options?: CallOptions): Promise<Ready>
  resources(options?: ResourcesOptions): Promise<Resources>
}

/** @throws TypeError when `url` is not an HTTP URL. */
export function createClient(options: TransportOptions): Client {
  const transport = createTransport(options)
  return {
    createJob: (job, options) => createJob(transport, job, options),
    createJobs: (jobs, options) => createJobs(transport, jobs, options),
    createDelegatedSubscription: (request, options) =>
      createDelegatedSubscription(transport, request, options),
    runJob: (job, options) => runJob(transport, job, options),
    cancelJob: (id, options) => cancelJob(transport, id, options),
    getJob: (id, options) => getJob(transport, id, options),
    getResults: (ids, options) => getResults(transport, ids, options),
    getResultsText: (ids, options) => getResultsText(transport, ids, options),
    getOutputText: (id, options) => getOutputText(transport, id, options),
    listJobs: options => listJobs(transport, options),
    waitForJob: (id, options) => waitForJob(transport, id, options),
    stream: (job, options) => stream(transport, job, options),
    resumeStream: (id, options) => resumeStream(transport, id, options),
    health: options => health(transport, options),
    info: options => info(transport, options),
    ready: options => ready(transport, options),
    resources: options => resources(transport, options),
  }
}
