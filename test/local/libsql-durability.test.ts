import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFinished, test } from 'vitest'
import { openDatabase } from '../../src/local/libsql/database.ts'
import { createFlusher } from '../../src/local/libsql/flusher.ts'
import { defaultLimits } from '../../src/local/libsql/limits.ts'
import { createService } from '../../src/local/libsql/service.ts'
import { close, connect, execute, startServer, temporaryFolder } from './libsql-setup.ts'

const main = fileURLToPath(new URL('../../src/local/libsql/main.ts', import.meta.url))

async function startChild(
  path: string,
  env: Record<string, string> = {},
): Promise<{ child: ChildProcess; url: string }> {
  const child = spawn(process.execPath, [main, '--path', path], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...env },
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  if (child.stdout === null) throw new Error('no stdout')
  const [url] = await once(createInterface(child.stdout), 'line')
  return { child, url }
}

describe('main.ts', () => {
  test('default: kill -9 in the middle of writing loses nothing that was acknowledged', async () => {
    const path = join(temporaryFolder(), 'test.db')
    const { child, url } = await startChild(path)
    const client = connect({ url })
    await client.execute('CREATE TABLE t (id INTEGER PRIMARY KEY)')
    const acknowledged: number[] = []
    let next = 0
    const writers = Array.from({ length: 8 }, async () => {
      for (;;) {
        const id = next++
        await client.batch([{ sql: 'INSERT INTO t VALUES (?)', args: [id] }], 'write')
        acknowledged.push(id)
        if (acknowledged.length === 200) child.kill('SIGKILL')
      }
    })
    await Promise.allSettled(writers)
    expect(acknowledged.length).toBeGreaterThanOrEqual(200)
    const { rows } = await connect(await startServer({ path })).execute('SELECT id FROM t')
    const found = new Set(rows.map(row => Number(row.id)))
    expect(acknowledged.filter(id => !found.has(id))).toEqual([])
  })

  test('behavior: SIGTERM closes gracefully, with the token from the environment', async () => {
    const path = join(temporaryFolder(), 'test.db')
    const { child, url } = await startChild(path, { LIBSQL_TOKEN: 'secret' })
    await expect(connect({ url }).execute('SELECT 1')).rejects.toMatchObject({ code: 'UNAUTHORIZED' })
    await connect({ url }, { authToken: 'secret' }).execute('CREATE TABLE t (id)')
    child.kill('SIGTERM')
    const [code] = await once(child, 'exit')
    expect(code).toBe(0)
    expect((await connect(await startServer({ path })).execute('SELECT * FROM t')).rows).toEqual([])
  })
})

describe('flusher', () => {
  function setup() {
    const syncs: ((error: Error | null) => void)[] = []
    const begun: (() => void)[] = []
    const flusher = createFlusher(done => {
      syncs.push(done)
      begun.shift()?.()
    })
    const nextSync = () => new Promise<void>(resolve => begun.push(resolve))
    return { flusher, syncs, nextSync }
  }

  test('default: one sync for all that were there before it began, another for the rest', async () => {
    const { flusher, syncs, nextSync } = setup()
    expect(flusher.settled()).toBeUndefined()
    const answered: string[] = []
    const write = (name: string) => {
      flusher.mark()
      return flusher.settled()?.then(() => answered.push(name))
    }
    const first = nextSync()
    const early = [write('a'), write('b')]
    await first
    const late = write('c')
    const second = nextSync()
    syncs[0]?.(null)
    await Promise.all(early)
    await second
    expect(answered).toEqual(['a', 'b'])
    syncs[1]?.(null)
    await late
    expect(answered).toEqual(['a', 'b', 'c'])
    expect(syncs).toHaveLength(2)
    expect(flusher.settled()).toBeUndefined()
  })

  test('behavior: after a failed sync nothing is ever acknowledged', async () => {
    const { flusher, syncs, nextSync } = setup()
    const began = nextSync()
    flusher.mark()
    const waiting = flusher.settled()
    await began
    syncs[0]?.(new Error('EIO'))
    await expect(waiting).rejects.toThrow('EIO')
    await expect(flusher.settled()).rejects.toThrow('EIO')
  })

  test('behavior: no answer leaves before its commit is on disk, nor a read that saw it', async () => {
    const { flusher, syncs, nextSync } = setup()
    const database = openDatabase(join(temporaryFolder(), 'test.db'), 'NORMAL', defaultLimits)
    onTestFinished(() => database.close())
    const service = createService({ ...database, flusher }, defaultLimits, () => 0)
    const order: string[] = []
    const send = (name: string, sql: string) =>
      service.pipeline(JSON.stringify({ requests: [execute(sql), close] }), 2).then(() => order.push(name))
    const began = nextSync()
    const answers = [send('write', 'CREATE TABLE t (x)'), send('read', 'SELECT * FROM t')]
    await began
    order.push('sync')
    syncs[0]?.(null)
    await Promise.all(answers)
    expect(order).toEqual(['sync', 'write', 'read'])
  })
})
