import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { openDatabase, type Synchronous } from './database.ts'
import { createHandler } from './handler.ts'
import { defaultLimits, type Limits } from './limits.ts'
import { createService } from './service.ts'
import { createTokenCheck } from './token.ts'

export type LibsqlServer = { url: string; port: number; close(): Promise<void> }

export type LibsqlServerOptions = {
  /** A file, or ':memory:' for one that is removed at the end. */
  path: string
  /** 0 (the default) takes any free port. */
  port?: number
  host?: string
  /** Clients must send it as a bearer token; without one everybody on `host` may do everything. */
  token?: string
  /** FULL: a write is answered when it is on disk. NORMAL: the last writes may be lost with the power, not with the process. */
  synchronous?: Synchronous
  limits?: Partial<Limits>
  /** The clock of stream expiry and of lock waits, in milliseconds. */
  now?: () => number
}

// Longer than the pools of workerd and undici keep an idle connection, so that it is never us who closes first.
const KEEP_ALIVE_MS = 75_000
const SWEEP_MS = 1_000

/** Serves one libSQL file over Hrana HTTP. Rejects when the file cannot be opened or the port is taken. */
export async function startLibsqlServer(options: LibsqlServerOptions): Promise<LibsqlServer> {
  const limits = { ...defaultLimits, ...options.limits }
  const host = options.host ?? '127.0.0.1'
  const database = openDatabase(options.path, options.synchronous ?? 'FULL', limits)
  const service = createService(database, limits, options.now ?? (() => performance.now()))
  const isAuthorized = createTokenCheck(options.token)
  const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS })
  const isOpen = () => server.listening
  server.on('request', createHandler({ service, isAuthorized, isOpen, bodyBytes: limits.bodyBytes }))
  try {
    await listen(server, options.port ?? 0, host)
  } catch (error) {
    database.close()
    throw error
  }
  const sweeper = setInterval(service.expire, SWEEP_MS).unref()
  const { port } = server.address() as AddressInfo
  const shutDown = async () => {
    clearInterval(sweeper)
    await closeServer(server, service.closeIdle)
    database.close()
  }
  let closing: Promise<void> | undefined
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${port}`,
    port,
    close() {
      closing ??= shutDown()
      return closing
    },
  }
}

function listen(server: Server, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

// close() waits for the requests in flight and drops idle connections.
async function closeServer(server: Server, closeIdle: () => void): Promise<void> {
  const closed = new Promise<void>(resolve => server.close(() => resolve()))
  closeIdle()
  await closed
  // A request that was in flight may have left a stream behind.
  closeIdle()
}
