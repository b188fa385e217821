import { createClient } from '@libsql/client/web'
import { type SQL, sql } from 'drizzle-orm'
import type { LibSQLDatabase } from 'drizzle-orm/libsql'
import { drizzle } from 'drizzle-orm/libsql/web'

/**
 * The database and its clock. `now` is an SQL expression, unix milliseconds: leases and expiries are reckoned by the database
 * itself, in the statement that needs them, because isolates and hosts disagree about the time. Tests pass a number of their own.
 */
export type Db = { orm: LibSQLDatabase; now: SQL<number> }

export const databaseNow = sql<number>`cast(unixepoch('subsec') * 1000 as integer)`

/** How long the database may take to answer. */
export const databaseTimeoutMs = 15_000

export type OpenDbOptions = {
  url: string
  token?: string | undefined
  now?: SQL<number>
  /** Longest that a round trip may take, so that a database that hangs is told apart from one that is slow. */
  timeoutMs?: number
}

/**
 * Opens a libSQL database over HTTP (`http:`, `https:`, `libsql:`), with `fetch` alone. Opening sends nothing. The client keeps
 * no connection and no stream between calls, so one may serve a whole isolate.
 */
export function openDb({ url, token, now = databaseNow, timeoutMs = databaseTimeoutMs }: OpenDbOptions): Db {
  // Without a concurrency limit of its own: the client's would make one request wait inside another's, which Workers forbids.
  const client = createClient({
    url,
    ...(token ? { authToken: token } : {}),
    concurrency: 1_000_000,
    fetch: (request: Request) => fetch(request, { signal: AbortSignal.timeout(timeoutMs) }),
  })
  return { orm: drizzle(client), now }
}
