import { join } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import { openEngine } from '../../src/local/libsql/engine.ts'
import { close, connect, execute, pipeline, startServer, temporaryFolder } from './libsql-setup.ts'

async function setup(options: Parameters<typeof startServer>[0] = {}) {
  let time = 0
  const server = await startServer({ now: () => time, ...options })
  await pipeline(server, [execute('CREATE TABLE t (x INTEGER)'), close])
  const count = async () => {
    const { body } = await pipeline(server, [execute('SELECT count(*) FROM t'), close])
    return Number(body.results[0]?.response.result.rows[0]?.[0]?.value)
  }
  const pass = (ms: number) => {
    time += ms
  }
  return { server, count, pass }
}

const begin = [execute('BEGIN IMMEDIATE'), execute('INSERT INTO t VALUES (1)')]

describe('batons', () => {
  test('default: a stream goes on from baton to baton until it is closed', async () => {
    const { server, count } = await setup()
    const first = await pipeline(server, begin)
    expect(first.body.baton).toEqual(expect.any(String))
    const second = await pipeline(server, [execute('INSERT INTO t VALUES (2)')], first.body.baton)
    expect(second.body.baton).not.toBe(first.body.baton)
    const third = await pipeline(server, [execute('COMMIT'), close], second.body.baton)
    expect(third.body.baton).toBeNull()
    expect(await count()).toBe(2)
  })

  test('behavior: a baton is good once', async () => {
    const { server } = await setup()
    const { body } = await pipeline(server, begin)
    await pipeline(server, [], body.baton)
    const again = await pipeline(server, [], body.baton)
    expect(again).toMatchObject({
      status: 400,
      body: { message: 'Received a baton that has already been used' },
    })
  })

  test('behavior: close rolls back, and its baton is unknown', async () => {
    const { server, count } = await setup()
    const { body } = await pipeline(server, begin)
    await pipeline(server, [close], body.baton)
    expect(await count()).toBe(0)
    const gone = await pipeline(server, [], body.baton)
    expect(gone).toMatchObject({ status: 400, body: { message: 'Received an invalid baton' } })
  })

  test('behavior: a protocol error ends the stream and its transaction', async () => {
    const { server, count } = await setup()
    const { body } = await pipeline(server, begin)
    const wrong = await pipeline(server, [{ type: 'sequence', sql_id: 3 }], body.baton)
    expect(wrong.status).toBe(400)
    expect((await pipeline(server, [], body.baton)).status).toBe(400)
    await pipeline(server, [execute('INSERT INTO t VALUES (9)'), close])
    expect(await count()).toBe(1)
  })

  test('behavior: a PRAGMA of one stream does not reach another', async () => {
    const { server } = await setup()
    await pipeline(server, [execute('PRAGMA foreign_keys=off'), close])
    const { body } = await pipeline(server, [execute('PRAGMA foreign_keys'), close])
    expect(body.results[0]?.response.result.rows).toEqual([[{ type: 'integer', value: '1' }]])
  })
})

describe('expiry', () => {
  test('default: 10 s of idleness roll the transaction back and kill the baton', async () => {
    const { server, count, pass } = await setup()
    const { body } = await pipeline(server, begin)
    pass(9_999)
    const alive = await pipeline(server, [], body.baton)
    expect(alive.status).toBe(200)
    pass(10_000)
    const dead = await pipeline(server, [execute('COMMIT')], alive.body.baton)
    expect(dead.status).toBe(500)
    expect(dead.body).toEqual({ message: 'The stream has expired due to inactivity', code: 'STREAM_EXPIRED' })
    expect(await count()).toBe(0)
  })

  test('behavior: whoever waits for the lock of an expired stream gets it', async () => {
    const { server, count, pass } = await setup({ limits: { busyMs: 60_000 } })
    await pipeline(server, begin)
    const waiting = pipeline(server, [execute('INSERT INTO t VALUES (2)'), close])
    pass(10_000)
    expect((await waiting).body.results[0]?.type).toBe('ok')
    expect(await count()).toBe(1)
  })

  test('behavior: the tombstone goes too, and the baton is then unknown', async () => {
    const { server, pass } = await setup()
    const { body } = await pipeline(server, begin)
    pass(10_000)
    expect((await pipeline(server, [], body.baton)).body.code).toBe('STREAM_EXPIRED')
    pass(300_000)
    expect((await pipeline(server, [], body.baton)).body.message).toBe('Received an invalid baton')
  })

  test('behavior: the client sees its transaction fail', async () => {
    const { server, pass } = await setup()
    const tx = await connect(server).transaction('write')
    await tx.execute('INSERT INTO t VALUES (1)')
    pass(10_000)
    await expect(tx.commit()).rejects.toMatchObject({ code: 'STREAM_EXPIRED' })
  })
})

describe('the write lock', () => {
  test('default: a writer waits for an open transaction and a reader does not', async () => {
    const { server, count } = await setup()
    const holder = await pipeline(server, begin)
    const order: string[] = []
    const waiting = pipeline(server, [execute('INSERT INTO t VALUES (2)'), close]).then(() =>
      order.push('waiter'),
    )
    expect(await count()).toBe(0)
    order.push('reader')
    await pipeline(server, [execute('COMMIT'), close], holder.body.baton)
    await waiting
    expect(order).toEqual(['reader', 'waiter'])
    expect(await count()).toBe(2)
  })

  test('behavior: a wait of more than the limit is SQLITE_BUSY, and nothing was done', async () => {
    const { server, count } = await setup({ now: () => performance.now(), limits: { busyMs: 30 } })
    const holder = await pipeline(server, begin)
    const { body } = await pipeline(server, [execute('INSERT INTO t VALUES (2)'), close])
    expect(body.results[0]).toEqual({
      type: 'error',
      error: { code: 'SQLITE_BUSY', message: 'SQLite error: database is locked' },
    })
    await expect(connect(server).batch(['INSERT INTO t VALUES (3)'], 'write')).rejects.toMatchObject({
      code: 'SQLITE_BUSY',
    })
    await pipeline(server, [execute('COMMIT'), close], holder.body.baton)
    expect(await count()).toBe(1)
  })

  const long = `/* ${'x'.repeat(20_000)} */ INSERT INTO t VALUES (2)`
  test.for([
    ['a short statement', 'INSERT INTO t VALUES (2)'],
    ['a long one', long],
  ] as const)('behavior: after %s was refused, what is answered is on disk', async ([, refused]) => {
    const path = join(temporaryFolder(), 'refused.db')
    const { server } = await setup({ now: () => performance.now(), limits: { busyMs: 120 }, path })
    const holder = await pipeline(server, begin)
    const { body } = await pipeline(server, [execute(refused), close])
    expect(body.results[0]?.type).toBe('error')
    await pipeline(server, [execute('ROLLBACK'), close], holder.body.baton)
    // More than one connection is there by then: each is used.
    const streams = await Promise.all([1, 2].map(() => pipeline(server, [execute('SELECT 1')])))
    for (const { body: opened } of streams)
      await pipeline(server, [execute('INSERT INTO t VALUES (3)'), close], opened.baton)
    await connect(server).batch(['INSERT INTO t VALUES (4)'], 'write')
    const engine = openEngine(path)
    const counted = engine.prepare('SELECT count(*) FROM t')
    counted.raw(true)
    expect(counted.get([])).toEqual([3])
    engine.close()
  })

  test('behavior: a stale snapshot is SQLITE_BUSY at once', async () => {
    const { server } = await setup({ limits: { busyMs: 60_000 } })
    const reader = await pipeline(server, [execute('BEGIN'), execute('SELECT * FROM t')])
    await pipeline(server, [execute('INSERT INTO t VALUES (1)'), close])
    const { body } = await pipeline(server, [execute('INSERT INTO t VALUES (2)'), close], reader.body.baton)
    expect(body.results[0]?.error.code).toBe('SQLITE_BUSY')
  })

  test('behavior: 8 clients x 20 write batches, 160 of 160', async () => {
    const { server, count } = await setup({ now: () => performance.now() })
    const clients = Array.from({ length: 8 }, () => connect(server))
    const read = 'SELECT count(*) AS n FROM t'
    const runs = clients.map(async client => {
      for (let i = 0; i < 20; i++) await client.batch([read, 'INSERT INTO t VALUES (1)', read], 'write')
    })
    await Promise.all(runs)
    expect(await count()).toBe(160)
  })

  test('behavior: 8 clients x 5 interactive transactions, each sees its own', async () => {
    const { server, count } = await setup({ now: () => performance.now() })
    const runs = Array.from({ length: 8 }, async () => {
      const client = connect(server)
      for (let i = 0; i < 5; i++) {
        const tx = await client.transaction('write')
        const before = (await tx.execute('SELECT count(*) AS n FROM t')).rows[0]?.n as bigint
        await tx.execute('INSERT INTO t VALUES (1)')
        expect((await tx.execute('SELECT count(*) AS n FROM t')).rows[0]?.n).toBe(before + 1n)
        await tx.commit()
      }
    })
    await Promise.all(runs)
    expect(await count()).toBe(40)
  })
})

test('close: finishes what is in flight and rolls open streams back', async () => {
  const { server } = await setup({ limits: { connections: 2 } })
  await pipeline(server, begin)
  const waiting = pipeline(server, [execute('INSERT INTO t VALUES (2)'), close])
  // No connection is left once the waiting request has come in.
  await vi.waitFor(async () => expect((await pipeline(server, [close])).status).toBe(429))
  const [outcome] = await Promise.all([waiting, server.close()])
  expect(outcome.body.results[0]?.type).toBe('ok')
  await expect(fetch(`${server.url}/health`)).rejects.toThrow()
})
