import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'
import { type Client, createClient, LibsqlError, type TransactionMode } from '@libsql/client/sqlite3'
import { drizzle } from 'drizzle-orm/libsql/sqlite3'
import { databaseNow } from '../edge/db/open.ts'
import type { OpenedDb } from './open.ts'

/** How long a lock that another process holds is waited for, and how long between two tries. */
const patienceMs = 5_000
const retryMs = 20

/**
 * Opens a database file, for this process alone to write. One connection serves everyone: the engine answers before it returns, so
 * a second could only find the first one's lock. A commit is on disk when it is answered.
 */
export async function openFileDb({ url }: { url: string }): Promise<OpenedDb> {
  const native = createClient({ url, concurrency: 1 })
  const client = patient(native)
  await client.execute('pragma journal_mode = wal')
  await client.execute('pragma synchronous = full')
  return { orm: drizzle({ client }), now: databaseNow, close: () => native.close() }
}

/**
 * The engine answers at once: a chain of statements would run to its end before anything else of this process has its turn, so each
 * waits for one.
 *
 * A migration, a backup or somebody's shell may hold the lock. The engine would wait for it with the whole process, so it is told
 * not to, and asked again: statements and batches happen whole or not at all. A batch takes the lock as it begins; one that read
 * first would be refused at its first write, however long it waited.
 */
function patient(native: Client): Client {
  return {
    get closed() {
      return native.closed
    },
    protocol: native.protocol,
    execute: (statement: Parameters<Client['execute']>[0], args?: Parameters<Client['execute']>[1]) =>
      unlocked(() =>
        typeof statement === 'string' ? native.execute(statement, args) : native.execute(statement),
      ),
    batch: statements => unlocked(() => native.batch(statements, 'write')),
    migrate: statements => native.migrate(statements),
    transaction: (mode?: TransactionMode) => native.transaction(mode ?? 'write'),
    executeMultiple: sql => native.executeMultiple(sql),
    sync: () => native.sync(),
    reconnect: () => native.reconnect(),
    close: () => native.close(),
  }
}

async function unlocked<Result>(work: () => Promise<Result>): Promise<Result> {
  const deadline = performance.now() + patienceMs
  for (;;) {
    await turn()
    try {
      return await work()
    } catch (error) {
      if (!isLocked(error) || performance.now() > deadline) throw error
      await sleep(retryMs)
    }
  }
}

function isLocked(error: unknown): boolean {
  return error instanceof LibsqlError && error.code.startsWith('SQLITE_BUSY')
}
