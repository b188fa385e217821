import { existsSync } from 'node:fs'
import { placeOf } from '../../runner/docker/address.ts'
import { createEngine, type Engine, EngineError } from '../../runner/docker/engine.ts'

export type EngineState =
  | { available: true; engine: Engine; version: string }
  | { available: false; reason: string }

/** Looks for an engine at `DOCKER_HOST`, or else at the sockets where engines usually listen. */
export async function findEngine(env: NodeJS.ProcessEnv): Promise<EngineState> {
  const host = env.DOCKER_HOST
  if (host && !host.startsWith('unix://')) {
    return unavailable(
      `DOCKER_HOST is ${placeOf(host)}; only unix:// is supported, as ports are published on this machine`,
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

async function connect(socket: string): Promise<EngineState> {
  const engine = createEngine(`unix://${socket}`)
  try {
    return { available: true, engine, version: await engine.version() }
  } catch (cause) {
    await engine.close()
    return unavailable(`the Docker engine at ${socket} does not answer: ${describe(cause)}`)
  }
}

function describe(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause)
  if (cause instanceof EngineError) return `it answered ${cause.status}`
  const code = (cause as NodeJS.ErrnoException).code
  if (code === 'EACCES') return 'permission denied (is this user in the docker group?)'
  if (code === 'ECONNREFUSED') return 'nothing listens on the socket'
  return cause.message
}

function unavailable(reason: string): EngineState {
  return { available: false, reason }
}
