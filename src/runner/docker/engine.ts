import { Readable } from 'node:stream'
import { Agent, type Dispatcher } from 'undici'
import * as v from 'valibot'
import { addressOf } from './address.ts'
import type { Tls } from './tls.ts'

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
  /** A stream goes as it is, anything else as JSON. */
  body?: Readable | object
  headers?: Record<string, string>
  signal?: AbortSignal
}

export type Engine = {
  /** @throws EngineError on a refusal, a socket error when there is no engine. */
  send(request: EngineRequest): Promise<Dispatcher.ResponseData>
  /** The engine's own version, e.g. `28.3.1`. Fails as `send` does. */
  version(): Promise<string>
  /** It may be another one when it is heard again: an upgrade may speak no version of before. */
  forget(): void
  close(): Promise<void>
}

/** The API version that these requests are written for. An engine that does not speak it is spoken to in its nearest. */
const ourVersion = '1.43'
const ApiVersion = v.pipe(v.string(), v.regex(/^\d+\.\d+$/))
const Version = v.object({ Version: v.string(), ApiVersion, MinAPIVersion: v.optional(ApiVersion, '1.0') })
/** An engine that hangs would otherwise hold up the end of a runner. */
const helloTimeoutMs = 5_000
const Refusal = v.object({ message: v.string() })

/** Docker's HTTP API at `DOCKER_HOST` (`unix://` or `tcp://`), or at the usual socket. `tls`: for `tcp://`; null: in the clear. */
export function createEngine(dockerHost: string | undefined, tls: Tls | null = null): Engine {
  const { origin, connect } = addressOf(dockerHost, tls)
  const agent = new Agent({
    allowH2: false,
    // Pulls and builds are silent for minutes.
    headersTimeout: 0,
    bodyTimeout: 0,
    connect,
  })
  let met: Promise<v.InferOutput<typeof Version>> | null = null

  async function request({
    method,
    path,
    body,
    headers,
    signal,
  }: EngineRequest): Promise<Dispatcher.ResponseData> {
    const json = body !== undefined && !(body instanceof Readable)
    const response = await agent.request({
      origin,
      path,
      method,
      headers: { ...(json && { 'content-type': 'application/json' }), ...headers },
      body: json ? JSON.stringify(body) : (body ?? null),
      signal: signal ?? null,
    })
    if (response.statusCode < 400) return response
    const said = v.safeParse(v.pipe(v.string(), v.parseJson(), Refusal), await response.body.text())
    throw new EngineError(
      response.statusCode,
      said.success ? said.output.message : `status ${response.statusCode}`,
    )
  }

  async function hello(): Promise<v.InferOutput<typeof Version>> {
    const signal = AbortSignal.timeout(helloTimeoutMs)
    const { body } = await request({ method: 'GET', path: '/version', signal })
    return v.parse(Version, await body.json())
  }

  /** Asked once, and again only while there is no answer. */
  async function meet(): Promise<v.InferOutput<typeof Version>> {
    met ??= hello()
    return await met.catch((error: unknown) => {
      met = null
      throw error
    })
  }

  async function send(wanted: EngineRequest): Promise<Dispatcher.ResponseData> {
    const { ApiVersion: newest, MinAPIVersion: oldest } = await meet()
    const agreed = older(newest, newer(oldest, ourVersion))
    return await request({ ...wanted, path: `/v${agreed}${wanted.path}` })
  }

  return {
    async send(wanted) {
      try {
        return await send(wanted)
      } catch (error) {
        if (!isOfVersion(error)) throw error
        met = null
        // A stream has been read by now.
        if (wanted.body instanceof Readable) throw error
        return await send(wanted)
      }
    },
    version: async () => (await meet()).Version,
    forget() {
      met = null
    },
    close: () => agent.destroy(),
  }
}

/** It does not speak the version that was agreed on, any more. */
function isOfVersion(error: unknown): boolean {
  return error instanceof EngineError && error.status === 400 && /\bclient version\b/.test(error.message)
}

function older(one: string, other: string): string {
  const [major = 0, minor = 0] = one.split('.').map(Number)
  const [otherMajor = 0, otherMinor = 0] = other.split('.').map(Number)
  return major < otherMajor || (major === otherMajor && minor < otherMinor) ? one : other
}

function newer(one: string, other: string): string {
  return older(one, other) === one ? other : one
}
