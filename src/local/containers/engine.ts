import { existsSync } from 'node:fs'
import type { Readable } from 'node:stream'
import { Agent, type Dispatcher, request } from 'undici'
import * as v from 'valibot'

/** A reachable Docker engine. */
export type Engine = {
  version: string
  /** Sends a request to the engine; `path` starts after the API version, e.g. `/images/json`. */
  call(options: Call): Promise<Dispatcher.ResponseData>
  close(): Promise<void>
}

type Call = {
  method: 'GET' | 'POST' | 'DELETE'
  path: string
  headers?: Record<string, string>
  body?: Readable | string
  signal?: AbortSignal
}

export type EngineState = { available: true; engine: Engine } | { available: false; reason: string }

const Version = v.object({ Version: v.string(), ApiVersion: v.string() })

const probeTimeoutMs = 2000

/** Looks for an engine at `DOCKER_HOST`, or else at the sockets where engines usually listen. */
export async function findEngine(env: NodeJS.ProcessEnv): Promise<EngineState> {
  const host = env.DOCKER_HOST
  if (host && !host.startsWith('unix://')) {
    return unavailable(
      `DOCKER_HOST is ${host}; only unix:// is supported, as ports are published on this machine`,
    )
  }
  const sockets = host ? [host.slice('unix://'.length)] : usualSockets(env)
  const socket = sockets.find(path => existsSync(path))
  if (!socket) return unavailable(`no Docker engine: no socket at ${sockets.join(' or ')}`)
  return await connect(socket)
}

function usualSockets(env: NodeJS.ProcessEnv): string[] {
  const paths = ['/var/run/docker.sock']
  if (env.XDG_RUNTIME_DIR) paths.push(`${env.XDG_RUNTIME_DIR}/docker.sock`)
  if (env.HOME) paths.push(`${env.HOME}/.docker/run/docker.sock`)
  return paths
}

async function connect(socketPath: string): Promise<EngineState> {
  // No body timeout: a build step that takes minutes is silent meanwhile.
  const dispatcher = new Agent({ connect: { socketPath }, bodyTimeout: 0 })
  try {
    const signal = AbortSignal.timeout(probeTimeoutMs)
    const { statusCode, body } = await request('http://docker/version', { dispatcher, signal })
    const answer = await body.json()
    if (statusCode !== 200) throw new Error(`it answered ${statusCode}`)
    const { Version: version, ApiVersion: apiVersion } = v.parse(Version, answer)
    const origin = `http://docker/v${apiVersion}`
    return {
      available: true,
      engine: {
        version,
        call: ({ path, ...options }) => request(origin + path, { dispatcher, ...options }),
        close: () => dispatcher.close(),
      },
    }
  } catch (cause) {
    await dispatcher.destroy()
    return unavailable(`the Docker engine at ${socketPath} does not answer: ${describe(cause)}`)
  }
}

function describe(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause)
  const code = (cause as NodeJS.ErrnoException).code
  if (code === 'EACCES') return 'permission denied (is this user in the docker group?)'
  if (code === 'ECONNREFUSED') return 'nothing listens on the socket'
  return cause.message
}

function unavailable(reason: string): EngineState {
  return { available: false, reason }
}
