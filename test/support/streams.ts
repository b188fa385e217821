import { randomUUID } from 'node:crypto'
import type { LibsqlServer } from '../../src/local/libsql/server.ts'
import type { Job, JobResult } from '../../src/protocol/job.ts'
import type { ClaimedJob, Lease } from '../../src/protocol/runner.ts'
import { startDatabase, startTestEdge, type TestEdge } from './edge.ts'
import { policyOf, startTestRunner, type TestRunner } from './runner.ts'
import {
  openReader,
  openUpload,
  type ReadOptions,
  streamed,
  type TestReader,
  type TestUpload,
} from './stream.ts'

/** An edge, a runner, and what clients of streams do. */
export type Streams = {
  edge: TestEdge
  runner: TestRunner
  /** A client's request for a stream. */
  ask(fields?: Record<string, unknown>, options?: ReadOptions): Promise<TestReader>
  /** A client that comes back. */
  resume(id: string, options?: ReadOptions & { query?: string }): Promise<TestReader>
  claim(): Promise<ClaimedJob>
  upload(lease: Lease, from?: number): Promise<TestUpload>
  /** A stream that has begun: asked for, claimed, its upload open, its first bytes out. */
  begin(
    options?: ReadOptions & { fields?: Record<string, unknown>; first?: string },
  ): Promise<{ client: TestReader; job: ClaimedJob; upload: TestUpload }>
  /** A stream that has been said whole, and reported. */
  say(output: string | Uint8Array, fields?: Record<string, unknown>): Promise<ClaimedJob>
  read(id: string): Promise<Job>
  result(id: string): Promise<JobResult>
  [Symbol.asyncDispose](): Promise<void>
}

export const asEvents = { accept: 'text/event-stream' }
/** Of the line that begins a stream. */
export const idLength = 37

export async function startStreams({
  vars = {},
  databaseUrl,
}: {
  vars?: Record<string, string>
  databaseUrl?: string
} = {}): Promise<Streams> {
  const database: LibsqlServer | null = databaseUrl === undefined ? await startDatabase() : null
  const edge = await startTestEdge({ databaseUrl: databaseUrl ?? database?.url ?? '', vars })
  const runner = await startTestRunner(edge, [policyOf('echo'), policyOf('other')])
  const streams = createStreams(edge, runner)
  return {
    ...streams,
    async [Symbol.asyncDispose]() {
      await edge[Symbol.asyncDispose]()
      await database?.close()
    },
  }
}

export function createStreams(edge: TestEdge, runner: TestRunner): Omit<Streams, typeof Symbol.asyncDispose> {
  const streams: Omit<Streams, typeof Symbol.asyncDispose> = {
    edge,
    runner,
    ask: async (fields = {}, options = {}) =>
      await openReader(new URL('/api/jobs/stream', edge.url), {
        method: 'POST',
        body: { containers: ['echo'], data: {}, ...fields },
        ...options,
      }),
    resume: async (id, { query = '', ...options } = {}) =>
      await openReader(new URL(`/api/jobs/${id}/stream${query}`, edge.url), options),
    async claim() {
      const [job] = await runner.claim({ wait_ms: 5_000, max: 1 })
      if (!job) throw new Error('Nothing to claim')
      return job
    },
    upload: async (lease, from = 0) => await openUpload(runner, edge, { ...lease, from }),
    async begin({ fields = {}, first = 'x', ...options } = {}) {
      const client = await streams.ask(fields, options)
      const job = await streams.claim()
      const upload = await streams.upload(job)
      upload.write(first)
      if (!options.paused) await client.until(text => text.includes(first, idLength))
      return { client, job, upload }
    },
    async say(output, fields = {}) {
      const client = await streams.ask({ detach: true, ...fields })
      const job = await streams.claim()
      const upload = await streams.upload(job)
      upload.write(output)
      const { body } = await upload.end()
      const bytes = Buffer.byteLength(output)
      if (body.have !== bytes) throw new Error(`The edge has ${body.have} of ${bytes} bytes`)
      await runner.report([streamed(job, { bytes, utf8: typeof output === 'string' })])
      await client.ended
      return job
    },
    read: async id => (await (await edge.request(`/api/jobs/${id}`)).json()) as Job,
    async result(id) {
      const [result] = (await (await edge.request(`/api/jobs?id=${id}`)).json()) as JobResult[]
      if (!result) throw new Error(`There is no job ${id}`)
      return result
    },
  }
  return streams
}

export const madeUpId = (): string => randomUUID()
