import { Agent, type Dispatcher } from 'undici'
import * as v from 'valibot'

/** The engine answered with a status that is no success. */
export class EngineError extends Error {
  override readonly name = 'EngineError'
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

export type EngineRequest = {
  method: 'GET' | 'POST' | 'DELETE'
  /** Without the version, with its query. */
  path: string
  body?: unknown
  headers?: Record<string, string>
  signal?: AbortSignal
}

export type Engine = {
  /** @throws EngineError on a refusal, a socket error when there is no engine. */
  send(request: EngineRequest): Promise<Dispatcher.ResponseData>
  close(): Promise<void>
}

/** The API version that these requests are written for. An older engine is spoken to in its own. */
const ourVersion = '1.43'
const Version = v.object({ ApiVersion: v.pipe(v.string(), v.regex(/^\d+\.\d+$/)) })
const Refusal = v.object({ message: v.string() })

/** Docker's HTTP API at `DOCKER_HOST` (`unix://` or `tcp://`), or at the usual socket. */
export function createEngine(dockerHost: string | undefined): Engine {
  const { origin, socketPath } = addressOf(dockerHost)
  const agent = new Agent({
    allowH2: false,
    // Pulls are silent for minutes while an image unpacks.
    headersTimeout: 0,
    bodyTimeout: 0,
    ...(socketPath !== null && { connect: { socketPath } }),
  })
  let version: Promise<string> | null = null

  function request(
    path: string,
    { method, body, headers, signal }: EngineRequest,
  ): Promise<Dispatcher.ResponseData> {
    return agent.request({
      origin,
      path,
      method,
      headers: { ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
      body: body === undefined ? null : JSON.stringify(body),
      signal: signal ?? null,
    })
  }

  async function negotiate(): Promise<string> {
    const { body } = await request('/version', { method: 'GET', path: '' })
    const { ApiVersion } = v.parse(Version, await body.json())
    return older(ApiVersion, ourVersion)
  }

  return {
    async send(wanted) {
      version ??= negotiate()
      const agreed = await version.catch((error: unknown) => {
        version = null
        throw error
      })
      const response = await request(`/v${agreed}${wanted.path}`, wanted)
      if (response.statusCode < 400) return response
      const said = v.safeParse(v.pipe(v.string(), v.parseJson(), Refusal), await response.body.text())
      throw new EngineError(
        response.statusCode,
        said.success ? said.output.message : `status ${response.statusCode}`,
      )
    },
    close: () => agent.destroy(),
  }
}

function addressOf(dockerHost: string | undefined): { origin: string; socketPath: string | null } {
  const host = dockerHost || 'unix:///var/run/docker.sock'
  if (host.startsWith('unix://')) return { origin: 'http://docker', socketPath: host.slice('unix://'.length) }
  return { origin: host.replace(/^tcp:/, 'http:').replace(/\/+$/, ''), socketPath: null }
}

function older(one: string, other: string): string {
  const [major = 0, minor = 0] = one.split('.').map(Number)
  const [otherMajor = 0, otherMinor = 0] = other.split('.').map(Number)
  return major < otherMajor || (major === otherMajor && minor < otherMinor) ? one : other
}
