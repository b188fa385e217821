import { connect as connectSocket } from 'node:net'
import { describe, expect, test } from 'vitest'
import { close, connect, execute, pipeline, post, startServer } from './libsql-setup.ts'

const KiB = 1024
const small = { responseBytes: 64 * KiB, rowBytes: 16 * KiB, bodyBytes: 128 * KiB, connections: 3 }

async function setup() {
  const server = await startServer({ path: ':memory:', limits: small })
  const client = connect(server)
  await client.execute('CREATE TABLE t (x)')
  return { server, client }
}

describe('sizes', () => {
  test('default: sqld’s own limits, 10 MiB a response and 5 MiB a row', async () => {
    const client = connect(await startServer({ path: ':memory:' }))
    await client.execute('CREATE TABLE t (x)')
    const big = new Uint8Array(5 * KiB * KiB + 1)
    await expect(client.execute({ sql: 'INSERT INTO t VALUES (?)', args: [big] })).rejects.toMatchObject({
      code: 'SQLITE_TOOBIG',
    })
    await client.execute({ sql: 'INSERT INTO t VALUES (?)', args: [big.subarray(0, 4 * KiB * KiB)] })
    expect((await client.execute('SELECT x FROM t')).rows).toHaveLength(1)
    const three = client.execute('SELECT x FROM t, (VALUES (1), (2), (3))')
    await expect(three).rejects.toMatchObject({ code: 'RESPONSE_TOO_LARGE' })
  })

  test('behavior: too large a response fails the request and lets go of the database', async () => {
    const { client } = await setup()
    const rows =
      'WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 5000) SELECT i, zeroblob(100) FROM n'
    await expect(client.execute(rows)).rejects.toMatchObject({ code: 'RESPONSE_TOO_LARGE' })
    const failed = client.batch(['INSERT INTO t VALUES (1)', rows], 'write')
    await expect(failed).rejects.toMatchObject({ code: 'RESPONSE_TOO_LARGE' })
    expect((await client.execute('SELECT count(*) AS n FROM t')).rows[0]?.n).toBe(0n)
    await client.execute('DROP TABLE t')
  })

  test('behavior: a too large RETURNING keeps what it wrote, unless a transaction undoes it', async () => {
    const { client } = await setup()
    const rows = `INSERT INTO t SELECT zeroblob(1000) FROM (WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 500) SELECT i FROM n) RETURNING x`
    await expect(client.execute(rows)).rejects.toMatchObject({ code: 'RESPONSE_TOO_LARGE' })
    expect((await client.execute('SELECT count(*) AS n FROM t')).rows[0]?.n).toBe(500n)
    await expect(client.batch([rows], 'write')).rejects.toMatchObject({ code: 'RESPONSE_TOO_LARGE' })
    expect((await client.execute('SELECT count(*) AS n FROM t')).rows[0]?.n).toBe(500n)
  })

  test('behavior: the limit of a row is per row of a VALUES list', async () => {
    const { client } = await setup()
    const blob = new Uint8Array(10 * KiB)
    const sql = 'INSERT INTO t VALUES (?), (?), (?)'
    expect((await client.execute({ sql, args: [blob, blob, blob] })).rowsAffected).toBe(3)
    const wide = client.execute({ sql: 'SELECT ?, ?', args: [blob, blob] })
    await expect(wide).rejects.toMatchObject({ code: 'SQLITE_TOOBIG' })
    await expect(client.execute('SELECT zeroblob(20000)')).rejects.toMatchObject({ code: 'SQLITE_TOOBIG' })
  })

  test('behavior: too long a body is a 413, declared or not', async () => {
    const { server } = await setup()
    const refused = { status: 413, body: { code: 'REQUEST_TOO_LARGE' } }
    expect(await post(`${server.url}/v2/pipeline`, 'x'.repeat(130 * KiB))).toMatchObject(refused)
    const chunks = new ReadableStream({
      start(controller) {
        for (let i = 0; i < 3; i++) controller.enqueue(new Uint8Array(60 * KiB).fill(32))
        controller.close()
      },
    })
    const init = { method: 'POST', body: chunks, duplex: 'half' } as RequestInit
    expect((await fetch(`${server.url}/v2/pipeline`, init)).status).toBe(413)
    expect((await pipeline(server, [close])).status).toBe(200)
  })

  test('behavior: a client that leaves in the middle of its body harms nobody', async () => {
    const { server } = await setup()
    const socket = connectSocket(server.port, '127.0.0.1')
    socket.write('POST /v2/pipeline HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{"requests"')
    await new Promise<void>(resolve => socket.end(resolve))
    expect((await pipeline(server, [close])).status).toBe(200)
  })
})

describe('counts', () => {
  test('behavior: open streams are bounded', async () => {
    const { server } = await setup()
    const open = await Promise.all(Array.from({ length: 3 }, () => pipeline(server, [execute('BEGIN')])))
    expect(await pipeline(server, [close])).toMatchObject({ status: 429, body: { code: 'TOO_MANY_STREAMS' } })
    await pipeline(server, [close], open[0]?.body.baton)
    expect((await pipeline(server, [close])).status).toBe(200)
  })

  test('behavior: stored texts are bounded in number and length', async () => {
    const { server } = await setup()
    const store = (sql_id: number, sql = 'SELECT 1') => ({ type: 'store_sql', sql_id, sql })
    const many = await pipeline(server, [...Array.from({ length: 51 }, (_, id) => store(id)), close])
    expect(many.body.results[50]?.error.code).toBe('SQL_STORE_TOO_MANY')
    const long = await pipeline(server, [store(1, `SELECT '${'x'.repeat(5000)}'`), close])
    expect(long.body.results[0]?.error.code).toBe('SQL_STORE_TOO_LARGE')
  })

  test('behavior: more texts than the statement cache holds', async () => {
    const { server } = await setup()
    const requests = Array.from({ length: 600 }, (_, i) => execute(`SELECT ${i % 300}`))
    const { body } = await pipeline(server, [...requests, close])
    expect(body.results[599]?.response.result.rows[0]?.[0]?.value).toBe('299')
  })
})

describe('what sqld refuses is refused', () => {
  test.each([
    "ATTACH 'other.db' AS other",
    'VACUUM',
    "VACUUM INTO 'copy.db'",
    'PRAGMA journal_mode = DELETE',
    'PRAGMA main.synchronous(0)',
    'PRAGMA wal_checkpoint',
    'CREATE TEMP TABLE x (a)',
    "SELECT readfile('/etc/hostname')",
    'SELECT "writefile"(1, 2)',
  ])('%s', async sql => {
    const { client } = await setup()
    await expect(client.execute(sql)).rejects.toMatchObject({ code: 'SQL_PARSE_ERROR' })
    await expect(client.executeMultiple(`SELECT 1; ${sql}`)).rejects.toMatchObject({
      code: 'SQL_PARSE_ERROR',
    })
  })

  test('behavior: the same PRAGMA may be read', async () => {
    const { client } = await setup()
    expect((await client.execute('PRAGMA journal_mode')).rows[0]?.journal_mode).toBe('wal')
    expect((await client.execute('PRAGMA table_info(t)')).rows).toHaveLength(1)
  })
})

describe('token', () => {
  test('default: only the right one passes', async () => {
    const server = await startServer({ path: ':memory:', token: 'secret' })
    expect((await connect(server, { authToken: 'secret' }).execute('SELECT 1')).rows).toHaveLength(1)
    for (const header of ['', 'Bearer', 'Bearer secreT', 'Bearer secret2', 'Basic secret', 'secret']) {
      const { status, body } = await post(
        `${server.url}/v2/pipeline`,
        { requests: [] },
        { authorization: header },
      )
      expect({ status, body }).toMatchObject({ status: 401, body: { code: 'UNAUTHORIZED' } })
    }
    await expect(connect(server).execute('SELECT 1')).rejects.toMatchObject({ code: 'UNAUTHORIZED' })
    expect((await fetch(`${server.url}/health`)).status).toBe(200)
  })
})
