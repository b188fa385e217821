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
  await native.execute(synchronous)
  return { orm: drizzle({ client }), now: databaseNow, close: () => native.close() }
}

/** Of a connection. */
const synchronous = 'pragma synchronous = full'

/**
 * The engine answers at once: a chain of statements would run to its end before anything else of this process has its turn, so each
 * waits for one.
 *
 * A migration, a backup or somebody's shell may hold the lock. The engine would wait for it with the whole process, so it is told
 * not to, and asked again: statements and batches happen whole or not at all. A batch takes the lock as it begins; one that read
 * first would be refused at its first write, however long it waited. What is refused the lock has not happened: nothing was done by then,
 * and a commit needs no further one.
 */
function patient(native: Client): Client {
  const alone = createQueue()
  const tried = <Result>(work: () => Promise<Result>) => alone(() => renewing(native, work))
  const unlocked = async <Result>(work: () => Promise<Result>) => await insist(() => tried(work))
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
    migrate: statements => tried(() => native.migrate(statements)),
    transaction: (mode?: TransactionMode) => native.transaction(mode ?? 'write'),
    executeMultiple: sql => tried(() => native.executeMultiple(sql)),
    sync: () => native.sync(),
    reconnect: () => native.reconnect(),
    close: () => native.close(),
  }
}

/** Until the lock is free, or patience is at its end. */
async function insist<Result>(attempt: () => Promise<Result>): Promise<Result> {
  const deadline = performance.now() + patienceMs
  for (;;) {
    await turn()
    try {
      return await attempt()
    } catch (error) {
      if (!isLocked(error) || performance.now() > deadline) throw error
      await sleep(retryMs)
    }
  }
}

/**
 * A statement that was refused the lock is still under way for the engine, until it is collected as garbage: while it is, no batch can be
 * committed, and what a single statement writes is not, though it is answered, and is lost in the end. The connection goes with it.
 */
async function renewing<Result>(native: Client, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work()
  } catch (error) {
    if (isLocked(error) && !native.closed) {
      await native.reconnect()
      await native.execute(synchronous)
    }
    throw error
  }
}

/** Runs one piece of work at a time, in order: nothing may have the connection that another is about to close. */
function createQueue(): <Result>(work: () => Promise<Result>) => Promise<Result> {
  let last: Promise<unknown> = Promise.resolve()
  return work => {
    const done = last.then(work)
    // Whoever asked for it hears of what went wrong.
    last = done.catch(() => undefined)
    return done
  }
}

function isLocked(error: unknown): boolean {
  return error instanceof LibsqlError && error.code.startsWith('SQLITE_BUSY')
}
