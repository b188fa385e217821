import { Agent, buildConnector } from 'undici'
import type { Target } from '../containers.ts'

/** Idle connections to containers close before common servers close them (Gunicorn: 2 s), so that none is used just as it dies. */
const keepAliveTimeout = 1_500
/** For an address that is no container's any more. */
const usualMs = 10_000

/** Connections to all containers, each opened within its container's `connect_timeout`. `targets`: as they are at that moment. */
export function createContainerAgent(targets: () => readonly Pick<Target, 'baseUrl' | 'config'>[]): Agent {
  /** By their time. */
  const connectors = new Map<number, buildConnector.connector>()

  function timeoutFor({ protocol, host }: buildConnector.Options): number {
    const target = targets().find(({ baseUrl }) => new URL(baseUrl).origin === `${protocol}//${host}`)
    return target?.config.connectTimeoutMs ?? usualMs
  }

  function connectorOf(timeout: number): buildConnector.connector {
    const connector = connectors.get(timeout) ?? buildConnector({ allowH2: false, timeout })
    connectors.set(timeout, connector)
    return connector
  }

  return new Agent({
    allowH2: false,
    // A job's total time is bounded by a timer of its own.
    headersTimeout: 0,
    bodyTimeout: 0,
    keepAliveTimeout,
    keepAliveMaxTimeout: 30_000,
    connect: (options, callback) => connectorOf(timeoutFor(options))(options, callback),
  })
}
