import { closeSync, fdatasync, fsyncSync, mkdtempSync, openSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { type Engine, openEngine } from './engine.ts'
import { createFlusher, type Flusher } from './flusher.ts'
import type { Limits } from './limits.ts'
import { createPool, type Pool } from './pool.ts'

export type Synchronous = 'FULL' | 'NORMAL'

export type Database = {
  pool: Pool
  flusher: Flusher
  /** Moves the log into the file and closes it. All streams must have ended. */
  close(): void
}

export function openDatabase(path: string, synchronous: Synchronous, limits: Limits): Database {
  return path === ':memory:' ? openMemory(limits) : openFile(path, synchronous, limits)
}

// Connections cannot share a `:memory:` database with the locks that a file has, so it is a file that nobody syncs.
function openMemory(limits: Limits): Database {
  const folder = mkdtempSync(join(tmpdir(), 'libsql-'))
  const path = join(folder, 'memory.db')
  const anchor = openAnchor(path)
  const pool = createPool(path, setup('OFF'), limits)
  return {
    pool,
    flusher: noFlusher,
    close() {
      pool.close()
      anchor.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

function openFile(path: string, synchronous: Synchronous, limits: Limits): Database {
  const anchor = openAnchor(path)
  const log = openSync(`${path}-wal`, 'r')
  syncFolder(path)
  const pool = createPool(path, setup('NORMAL'), limits)
  return {
    pool,
    flusher: synchronous === 'FULL' ? createFlusher(done => fdatasync(log, done)) : noFlusher,
    close() {
      pool.close()
      anchor.exec('PRAGMA wal_checkpoint(TRUNCATE)')
      anchor.close()
      closeSync(log)
    },
  }
}

// The log is deleted when its last connection closes. This one is never used and keeps it, so that the descriptor
// that we sync stays the log's.
function openAnchor(path: string): Engine {
  const anchor = openEngine(path)
  anchor.exec('PRAGMA busy_timeout=5000; PRAGMA journal_mode=WAL; BEGIN IMMEDIATE; COMMIT')
  return anchor
}

// synchronous=NORMAL in WAL mode never corrupts and syncs at checkpoints only; what FULL adds is one sync of the log
// per commit, and that is the flusher's. busy_timeout=0: a wait inside the engine would stop the event loop.
function setup(synchronous: 'NORMAL' | 'OFF'): string {
  return `PRAGMA busy_timeout=0; PRAGMA synchronous=${synchronous}; PRAGMA foreign_keys=ON`
}

// A new file's name must survive a power cut as well as its bytes.
function syncFolder(path: string): void {
  const folder = openSync(dirname(path), 'r')
  fsyncSync(folder)
  closeSync(folder)
}

const noFlusher: Flusher = { mark() {}, settled: () => undefined }
