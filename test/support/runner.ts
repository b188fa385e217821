import { randomUUID } from 'node:crypto'
import { calculateJwkThumbprint, exportJWK, generateKeyPair, SignJWT } from 'jose'
import type { ContainerPolicy } from '../../src/protocol/container.ts'
import type { Labels } from '../../src/protocol/labels.ts'
import type {
  ClaimAnswer,
  ClaimedJob,
  ClaimRequest,
  ReportAnswer,
  ReportedResult,
} from '../../src/protocol/runner.ts'
import { adminToken, type TestEdge } from './edge.ts'

/** A runner that speaks the protocol by hand, one message at a time, so that tests choose which are lost, late or lies. */
export type TestRunner = {
  id: string
  instance: string
  token(options?: { audience?: string; seconds?: number; issuedAt?: number }): Promise<string>
  post(path: string, body: unknown, init?: { token?: string; signal?: AbortSignal }): Promise<Response>
  /** Any other request, with a token. */
  send(path: string, init?: RequestInit): Promise<Response>
  /** A claim as it goes over the wire, answered or not. */
  postClaim(request?: Partial<ClaimRequest>, signal?: AbortSignal): Promise<Response>
  claim(request?: Partial<ClaimRequest>): Promise<ClaimedJob[]>
  report(results: ReportedResult[]): Promise<ReportAnswer['answers']>
}

/** A policy that admits everyone. */
export function policyOf(id: string, rest: Partial<ContainerPolicy> = {}): ContainerPolicy {
  return {
    id,
    description: '',
    image: '',
    external: true,
    generates_proofs: false,
    openai: false,
    signed_data: false,
    allowed_ips: [],
    allowed_addresses: [],
    allowed_delegate_addresses: [],
    accepted_payments: {},
    ...rest,
  }
}

/** Enrols a new key, registers containers, and reports them ready. `request`: how to reach an edge that listens nowhere. */
export async function startTestRunner(
  edge: Pick<TestEdge, 'url'>,
  containers: ContainerPolicy[],
  request: (url: URL, init: RequestInit) => Promise<Response> = fetch,
  labels?: Labels,
): Promise<TestRunner> {
  const { privateKey, publicKey } = await generateKeyPair('EdDSA', { crv: 'Ed25519', extractable: true })
  const { x = '' } = await exportJWK(publicKey)
  const id = await calculateJwkThumbprint({ kty: 'OKP', crv: 'Ed25519', x })
  const instance = randomUUID()
  let seq = 0

  const token: TestRunner['token'] = async ({ audience = edge.url, seconds = 60, issuedAt } = {}) => {
    const iat = issuedAt ?? Math.floor(Date.now() / 1000)
    return await new SignJWT({})
      .setProtectedHeader({ alg: 'EdDSA', kid: id })
      .setIssuer(id)
      .setAudience(audience)
      .setIssuedAt(iat)
      .setExpirationTime(iat + seconds)
      .sign(privateKey)
  }

  const post: TestRunner['post'] = async (path, body, init) =>
    await request(new URL(path, edge.url), {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        authorization: `Bearer ${init?.token ?? (await token())}`,
      },
      body: JSON.stringify(body),
      signal: init?.signal ?? null,
    })

  const postClaim: TestRunner['postClaim'] = async (overrides = {}, signal) => {
    seq += 1
    const routes = containers.map(container => ({ route: container.id, slots: 8 }))
    const body = { instance, seq, routes, holding: [], max: 8, wait_ms: 0, ...overrides }
    return await post('/runner/claim', body, signal ? { signal } : {})
  }

  await expectOk(await post('/admin/runners', { name: 'test', public_key: x }, { token: adminToken }))
  await expectOk(await post('/runner/register', { instance, version: 'test', containers, labels }))
  const health = containers.map(container => ({ id: container.id, health: 'ready' }))
  await expectOk(await post('/runner/heartbeat', { instance, leases: [], containers: health }))

  return {
    id,
    instance,
    token,
    post,
    send: async (path, init = {}) =>
      await request(new URL(path, edge.url), {
        ...init,
        headers: { authorization: `Bearer ${await token()}`, ...init.headers },
      }),
    postClaim,
    async claim(overrides) {
      const response = await expectOk(await postClaim(overrides))
      return ((await response.json()) as ClaimAnswer).jobs
    },
    async report(results) {
      const response = await expectOk(await post('/runner/report', { instance, results }))
      return ((await response.json()) as ReportAnswer).answers
    },
  }
}

async function expectOk(response: Response): Promise<Response> {
  if (!response.ok) throw new Error(`${response.url}: ${response.status} ${await response.text()}`)
  return response
}

/** A successful report of a claimed job, with `output` as JSON text. */
export function success({ id, attempt, containers }: ClaimedJob, output: string): ReportedResult {
  const text = `{"container":${JSON.stringify(containers.at(-1))},"output":${output}}`
  return {
    id,
    attempt,
    status: 'success',
    error_code: null,
    result: { text },
    intermediate: null,
    stream: null,
  }
}
