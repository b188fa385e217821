import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { decodeProtectedHeader, importJWK, jwtVerify } from 'jose'
import { uuidv7 } from 'uuidv7'
import * as v from 'valibot'
import { type ErrorCode, errorStatus, refusalBody } from '../../src/protocol/error.ts'
import { limits } from '../../src/protocol/limits.ts'
import {
  ClaimRequest,
  type ControlAnswer,
  ControlRequest,
  HeartbeatRequest,
  type Lease,
  QuestionAnswer,
  RegisterRequest,
  type ReportedResult,
  ReportRequest,
} from '../../src/protocol/runner.ts'
import { createFakeStreams } from './fake-streams.ts'

/** An edge that keeps its jobs in memory: a real HTTP server that checks every token and every body against the protocol. */
export type FakeJob = {
  id: string
  containers: string[]
  source: 0 | 1
  destination: 0 | 1 | 2
  requires_proof: boolean
  timeout_ms: number | null
  data: string
  endpoint: 'openai' | null
  attempt: number
  state: 'queued' | 'running' | 'done' | 'cancelled'
  instance: string | null
  started: boolean
  claimedAt: number
}

export type Report = ReportedResult & { resultText: string; intermediateText: string | null; answer: string }
export type Seen = { method: string; path: string; at: number; body: unknown }
export type NewJob = Partial<
  Pick<FakeJob, 'source' | 'destination' | 'requires_proof' | 'timeout_ms' | 'endpoint'>
> & {
  containers: string[]
  data: string
}

/** What goes wrong next; undefined: nothing. `hang` answers nothing, `drop` does the work and cuts the connection. */
export type Fault =
  | { status: number; headers?: Record<string, string>; body?: string }
  | 'hang'
  | 'drop'
  | undefined

/** What the edge itself says; a `Fault` without it is a proxy's. */
export function refusal(code: ErrorCode): Fault {
  return { status: errorStatus[code], body: JSON.stringify(refusalBody({ code, error: 'No' })) }
}

export type FakeEdge = Awaited<ReturnType<typeof startFakeEdge>>

export type FakeEdgeOptions = {
  pace?: { lease_ms: number; heartbeat_ms: number; wait_ms: number }
  /** Keeps what it has seen; off for measurements. */
  record?: boolean
  audience?: string
}

export async function startFakeEdge({ pace, record = true, audience }: FakeEdgeOptions = {}) {
  const keys = new Map<string, string>()
  const jobs = new Map<string, FakeJob>()
  const queue: FakeJob[] = []
  const parts = new Map<string, Buffer[]>()
  const reports: Report[] = []
  const seen: Seen[] = []
  const questions = new Map<string, { model_id: string | null; resolve: (answer: string) => void }>()
  const waiters = new Set<() => void>()
  const verified = new Set<string>()
  const state = {
    mode: 'run' as ControlAnswer['mode'],
    fault: (_path: string, _request: IncomingMessage): Fault => undefined,
    /** Answers for a report in place of the true one. */
    answer: undefined as 'accepted' | 'duplicate' | 'stale' | undefined,
    lost: [] as Lease[],
    /** By how much its clock is behind, as its `Date` says. */
    behindMs: 0,
    completed: 0,
  }
  const streams = createFakeStreams({
    leaseOf: id => jobs.get(id),
    keep: record,
    changed,
  })
  const settings = pace ?? { lease_ms: 60_000, heartbeat_ms: 1_000, wait_ms: 2_000 }

  function changed(): void {
    for (const wake of [...waiters]) wake()
  }

  async function until(ready: () => boolean, ms: number, request: IncomingMessage): Promise<void> {
    const deadline = Date.now() + ms
    while (!ready() && Date.now() < deadline && !request.socket.destroyed) {
      await new Promise<void>(resolve => {
        const wake = () => {
          waiters.delete(wake)
          clearTimeout(timer)
          request.socket.off('close', wake)
          resolve()
        }
        const timer = setTimeout(wake, deadline - Date.now())
        waiters.add(wake)
        request.socket.once('close', wake)
      })
    }
  }

  function take(claim: v.InferOutput<typeof ClaimRequest>): FakeJob[] {
    const free = new Map(claim.routes.map(({ route, slots }) => [route, slots]))
    const taken: FakeJob[] = []
    let bytes = 0
    for (let index = 0; index < queue.length && taken.length < claim.max; ) {
      const job = queue[index] as FakeJob
      if (bytes > limits.claimInlineBytes || !job.containers.every(id => (free.get(id) ?? 0) > 0)) {
        index++
        continue
      }
      for (const id of job.containers) free.set(id, (free.get(id) ?? 0) - 1)
      queue.splice(index, 1)
      bytes += job.data.length
      Object.assign(job, {
        state: 'running',
        attempt: job.attempt + 1,
        instance: claim.instance,
        claimedAt: Date.now(),
      })
      taken.push(job)
    }
    return taken
  }

  function putBackLost({ instance, holding }: v.InferOutput<typeof ClaimRequest>): void {
    const held = new Set(holding.map(({ id, attempt }) => `${id} ${attempt}`))
    for (const job of jobs.values())
      if (job.state === 'running' && job.instance === instance && !held.has(`${job.id} ${job.attempt}`)) {
        job.state = 'queued'
        queue.unshift(job)
      }
  }

  async function claim(body: unknown, request: IncomingMessage): Promise<unknown> {
    const wanted = v.parse(ClaimRequest, body)
    if (record) putBackLost(wanted)
    let taken = take(wanted)
    const takeSome = () => {
      taken = queue.length > 0 ? take(wanted) : []
      return taken.length > 0
    }
    if (taken.length === 0) await until(takeSome, wanted.wait_ms, request)
    return {
      jobs: taken.map(job => {
        const { id, attempt, containers, source, destination, requires_proof, timeout_ms, data, endpoint } =
          job
        const inline =
          data.length <= limits.claimInlineBytes / wanted.max && data.length <= limits.inlineBytes
        const data_bytes = Buffer.byteLength(data)
        return {
          id,
          attempt,
          containers,
          source,
          destination,
          requires_proof,
          timeout_ms,
          data: inline ? data : null,
          data_bytes,
          endpoint,
        }
      }),
    }
  }

  function heartbeat(body: unknown): unknown {
    const { leases } = v.parse(HeartbeatRequest, body)
    for (const { id, started } of leases) {
      const job = jobs.get(id)
      if (job && started) job.started = true
    }
    return { lost: state.lost.filter(({ id }) => leases.some(lease => lease.id === id)) }
  }

  async function control(body: unknown, request: IncomingMessage): Promise<unknown> {
    const { holding, mode, wait_ms } = v.parse(ControlRequest, body)
    const cancelled = () => holding.filter(({ id }) => jobs.get(id)?.state === 'cancelled')
    await until(() => cancelled().length > 0 || mode !== state.mode || questions.size > 0, wait_ms, request)
    const asked = [...questions].map(([id, { model_id }]) => ({ id, kind: 'resources', model_id }))
    return { cancel: cancelled(), mode: state.mode, questions: asked }
  }

  function judge({ id, attempt }: ReportedResult): string {
    const job = jobs.get(id)
    if (job?.attempt !== attempt) return state.answer ?? 'stale'
    const fresh = job.state === 'running' || job.state === 'queued'
    const answer = state.answer ?? (fresh ? 'accepted' : job.state === 'done' ? 'duplicate' : 'stale')
    if (fresh && answer === 'accepted') {
      job.state = 'done'
      if (queue.includes(job)) queue.splice(queue.indexOf(job), 1)
      state.completed++
    }
    return answer
  }

  function textOf(kind: 'result' | 'intermediate', result: ReportedResult): string | null {
    const payload = result[kind]
    if (payload === null || 'text' in payload) return payload?.text ?? null
    return Buffer.concat(parts.get(`${result.id} ${result.attempt} ${kind}`) ?? []).toString()
  }

  function keep(result: ReportedResult, answer: string): void {
    const resultText = textOf('result', result) ?? ''
    reports.push({ ...result, resultText, intermediateText: textOf('intermediate', result), answer })
  }

  function report(body: unknown): unknown {
    const { results } = v.parse(ReportRequest, body)
    const answers = results.map(result => {
      const answer = judge(result)
      if (record) keep(result, answer)
      else jobs.delete(result.id)
      return { id: result.id, attempt: result.attempt, answer }
    })
    changed()
    return { answers }
  }

  function putPart(url: URL, bytes: Buffer): unknown {
    const [, , , id, , seq] = url.pathname.split('/')
    const key = `${id} ${url.searchParams.get('attempt')} ${url.searchParams.get('kind')}`
    const list = parts.get(key) ?? []
    list[Number(seq)] = bytes
    parts.set(key, list)
    return {}
  }

  async function verify(request: IncomingMessage): Promise<boolean> {
    const token = request.headers.authorization?.replace('Bearer ', '') ?? ''
    if (verified.has(token)) return true
    try {
      const { kid = '' } = decodeProtectedHeader(token)
      const key = await importJWK({ kty: 'OKP', crv: 'Ed25519', x: keys.get(kid) ?? '' }, 'EdDSA')
      const { payload } = await jwtVerify(token, key, { issuer: kid, audience: audience ?? url })
      const { exp = 0, iat = 0 } = payload
      if (exp - iat > 60) return false
      if (!record) verified.add(token)
      return true
    } catch {
      return false
    }
  }

  async function route(request: IncomingMessage, response: ServerResponse, body: Buffer): Promise<unknown> {
    const at = new URL(request.url ?? '', 'http://edge')
    if (request.method === 'PUT') return putPart(at, body)
    if (request.method === 'GET') {
      const job = jobs.get(at.pathname.split('/')[3] ?? '')
      response.setHeader('content-type', 'application/octet-stream')
      return Buffer.from(job?.data ?? '')
    }
    const json: unknown = JSON.parse(body.toString())
    if (record) seen.push({ method: 'POST', path: at.pathname, at: Date.now(), body: json })
    switch (at.pathname) {
      case '/runner/register':
        v.parse(RegisterRequest, json)
        return settings
      case '/runner/claim':
        return await claim(json, request)
      case '/runner/heartbeat':
        return heartbeat(json)
      case '/runner/control':
        return await control(json, request)
      case '/runner/report':
        return report(json)
      default: {
        const { question, answer } = v.parse(QuestionAnswer, json)
        questions.get(question)?.resolve(answer)
        questions.delete(question)
        return {}
      }
    }
  }

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const path = new URL(request.url ?? '', 'http://edge').pathname
    const fault = state.fault(path, request)
    if (state.behindMs !== 0) response.setHeader('date', new Date(Date.now() - state.behindMs).toUTCString())
    if (fault === 'hang') return
    if (typeof fault === 'object') {
      response.writeHead(fault.status, fault.headers).end(fault.body)
      return
    }
    if (path === '/health') {
      response.end('{"status":"healthy"}')
      return
    }
    if (!(await verify(request))) {
      response.writeHead(401).end('{"error":"","code":"unauthorized","params":{}}')
      return
    }
    const answer = await route(request, response, Buffer.concat(chunks))
    if (fault === 'drop') request.socket.destroy()
    else response.end(Buffer.isBuffer(answer) ? answer : JSON.stringify(answer))
  }

  /** Its body is read while it comes. */
  async function handleStream(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (await verify(request)) await streams.put(request, response)
    else response.writeHead(401).end('{"error":"","code":"unauthorized","params":{}}')
  }

  const server = createServer((request, response) => {
    const stream = request.method === 'PUT' && request.url?.includes('/stream?')
    const handled = stream ? handleStream(request, response) : handle(request, response)
    handled.catch((error: unknown) => {
      if (!request.socket.destroyed) response.writeHead(500).end(String(error))
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

  return {
    url,
    jobs,
    queue,
    reports,
    seen,
    state,
    streams,
    changed,
    enrol: (key: { id: string; publicKey: string }) => keys.set(key.id, key.publicKey),
    revoke: (id: string) => keys.delete(id),
    enqueue(job: NewJob): FakeJob {
      const made: FakeJob = {
        source: 1,
        destination: 1,
        requires_proof: false,
        timeout_ms: null,
        endpoint: null,
        ...job,
        id: uuidv7(),
        attempt: 0,
        state: 'queued',
        instance: null,
        started: false,
        claimedAt: 0,
      }
      jobs.set(made.id, made)
      queue.push(made)
      changed()
      return made
    },
    cancel(id: string): void {
      const job = jobs.get(id)
      if (job) job.state = 'cancelled'
      changed()
    },
    /** Of its containers, as the last heartbeat of any runner told. */
    health(): HeartbeatRequest['containers'] {
      const last = seen.findLast(({ path }) => path === '/runner/heartbeat')
      return last === undefined ? [] : v.parse(HeartbeatRequest, last.body).containers
    },
    ask(model_id: string | null): Promise<string> {
      return new Promise(resolve => {
        questions.set(uuidv7(), { model_id, resolve })
        changed()
      })
    },
    /** Resolves when it holds; looked at whenever something has come. */
    async until(condition: () => boolean): Promise<void> {
      while (!condition())
        await new Promise<void>(resolve => {
          const wake = () => {
            waiters.delete(wake)
            resolve()
          }
          waiters.add(wake)
        })
    },
    /** Resolves with the report of a job. */
    async reported(id: string): Promise<Report> {
      for (;;) {
        const report = reports.find(one => one.id === id)
        if (report) return report
        await new Promise<void>(resolve => {
          const wake = () => {
            waiters.delete(wake)
            resolve()
          }
          waiters.add(wake)
        })
      }
    },
    close(): void {
      server.close()
      server.closeAllConnections()
    },
  }
}
