import { migrate } from '../../src/edge/db/migrate.ts'
import type { Db } from '../../src/edge/db/open.ts'
import { openDb } from '../../src/host/open.ts'
import { type LibsqlServer, startLibsqlServer } from '../../src/local/libsql/server.ts'
import { createDatabaseFile } from './database-file.ts'
import { host, startEdgeOn } from './hosts.ts'

export const adminToken = 'admin-token-of-the-tests-0123456789'

export type TestEdge = {
  url: string
  /** Of the process that the edge runs in; on Node it is this one. */
  pid: number
  databaseUrl: string
  /** The edge's own database, for statements that no route offers. */
  db: Db
  /** `fetch` of a path, as the client with this address (its `CF-Connecting-IP`). */
  request(path: string, init?: RequestInit & { ip?: string }): Promise<Response>
  /** `POST /api/jobs`; text goes out as it is. */
  create(body: unknown, init?: { ip?: string; path?: string }): Promise<Response>
  /** Creates a job that must be accepted. @returns its id. */
  createJob(body: unknown, init?: { ip?: string }): Promise<string>
  runSchedule(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

export type TestEdgeOptions = {
  vars?: Record<string, string>
  /** A database that the test has started, and closes; absent: one of the edge's own, empty and migrated. */
  databaseUrl?: string
}

/** The edge on this run's host and a database, on real sockets. */
export async function startTestEdge({ vars = {}, databaseUrl }: TestEdgeOptions = {}): Promise<TestEdge> {
  const database = databaseUrl === undefined ? await startOwnDatabase() : null
  const url = databaseUrl ?? database?.url ?? ''
  const edge = await startEdgeOn[host]({
    DATABASE_URL: url,
    ADMIN_TOKEN: adminToken,
    CLIENT_IP_HEADER: 'cf-connecting-ip',
    ...vars,
  })
  const db = await openDb({ url })

  const request: TestEdge['request'] = async (path, { ip, ...init } = {}) => {
    const headers = new Headers(init.headers)
    if (ip) headers.set('cf-connecting-ip', ip)
    return await fetch(new URL(path, edge.url), { ...init, headers })
  }
  const create: TestEdge['create'] = async (body, { path = '/api/jobs', ...init } = {}) => {
    const text = typeof body === 'string' ? body : JSON.stringify(body)
    return await request(path, { ...init, method: 'POST', body: text })
  }

  return {
    url: edge.url,
    pid: edge.pid,
    databaseUrl: url,
    db,
    request,
    create,
    async createJob(body, init) {
      const response = await create(body, init)
      if (!response.ok) throw new Error(`${response.status} ${await response.text()}`)
      return ((await response.json()) as { id: string }).id
    },
    runSchedule: edge.runSchedule,
    async [Symbol.asyncDispose]() {
      await edge.close()
      db.close()
      await database?.close()
    },
  }
}

/** What the host is likely to have: a file, or a server. */
async function startOwnDatabase(): Promise<{ url: string; close(): Promise<void> }> {
  return host === 'node' ? await createDatabaseFile() : await startDatabase()
}

/** No SQL response of the edge may be longer, in any test. */
export const sqlResponseBytes = 4 * 1024 * 1024

/** A libSQL server with an empty, migrated database in memory. It refuses responses that are too long. */
export async function startDatabase(): Promise<LibsqlServer> {
  const database = await startLibsqlServer({ path: ':memory:', limits: { responseBytes: sqlResponseBytes } })
  await migrate({ url: database.url })
  return database
}

let lastAddress = 0

/** An address that no test of this file has used: bounds and lists are per owner. */
export function newAddress(): string {
  lastAddress += 1
  return `198.18.${lastAddress >> 8}.${lastAddress & 255}`
}

/** Status, code, error and params of a refusal, to be compared whole. */
export async function refusalOf(response: Response): Promise<unknown> {
  return { status: response.status, ...((await response.json()) as object) }
}
