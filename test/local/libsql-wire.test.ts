import { describe, expect, test } from 'vitest'
import { close, execute, pipeline, post, startServer, type Wire } from './libsql-setup.ts'

const step = (sql: string, condition?: unknown) => ({
  stmt: { sql },
  ...(condition === undefined ? {} : { condition }),
})
const batch = (...steps: unknown[]) => ({ type: 'batch', batch: { steps } })
const responses = (wire: Wire) => wire.body.results.map(result => result.response)

describe('endpoints', () => {
  test.each(['/health', '/version', '/v2', '/v3'])('default: GET %s', async path => {
    const server = await startServer({ path: ':memory:' })
    expect((await fetch(server.url + path)).status).toBe(200)
  })

  test.each(['/v3-protobuf', '/', '/v1/execute', '/v3/cursor'])('behavior: GET %s is a 404', async path => {
    const server = await startServer({ path: ':memory:' })
    const response = await fetch(server.url + path)
    expect(response.status).toBe(404)
    expect(await response.json()).toEqual({ message: 'No such endpoint', code: 'NOT_FOUND' })
  })

  test('behavior: GET on a pipeline is a 405', async () => {
    const server = await startServer({ path: ':memory:' })
    expect((await fetch(`${server.url}/v2/pipeline`)).status).toBe(405)
  })
})

describe.each(['v2', 'v3'])('%s', version => {
  const send = (url: string, requests: unknown[]) => post(`${url}/${version}/pipeline`, { requests })

  test('default: execute', async () => {
    const server = await startServer({ path: ':memory:' })
    const create = execute('CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT)')
    const insert = execute('INSERT INTO t (x) VALUES (?)', { args: [{ type: 'text', value: 'a' }] })
    const wire = await send(server.url, [create, insert, execute('SELECT id, x, 1 AS one FROM t'), close])
    expect(wire.status).toBe(200)
    expect(wire.body).toMatchObject({ baton: null, base_url: null })
    const [, inserted, selected] = responses(wire)
    expect(inserted?.result).toMatchObject({
      affected_row_count: 1,
      last_insert_rowid: '1',
      cols: [],
      rows: [],
    })
    expect(selected).toEqual({
      type: 'execute',
      result: {
        cols: [
          { name: 'id', decltype: 'INTEGER' },
          { name: 'x', decltype: 'TEXT' },
          { name: 'one', decltype: null },
        ],
        rows: [
          [
            { type: 'integer', value: '1' },
            { type: 'text', value: 'a' },
            { type: 'integer', value: '1' },
          ],
        ],
        affected_row_count: 0,
        last_insert_rowid: null,
        replication_index: null,
        rows_read: 0,
        rows_written: 0,
        query_duration_ms: 0,
      },
    })
  })

  test('behavior: want_rows false gives columns and no rows', async () => {
    const server = await startServer({ path: ':memory:' })
    const wire = await send(server.url, [execute('SELECT 1 AS one', { want_rows: false }), close])
    expect(responses(wire)[0]?.result).toMatchObject({ cols: [{ name: 'one', decltype: null }], rows: [] })
  })

  test('behavior: a failed request does not stop the next', async () => {
    const server = await startServer({ path: ':memory:' })
    const wire = await send(server.url, [execute('SELECT nope'), execute('SELECT 1'), close])
    expect(wire.body.results.map(result => result.type)).toEqual(['error', 'ok', 'ok'])
    expect(wire.body.results[0]?.error).toEqual({
      code: 'SQL_INPUT_ERROR',
      message: 'SQL input error: no such column: nope (at offset 7)',
    })
  })

  test('behavior: batch conditions', async () => {
    const server = await startServer({ path: ':memory:' })
    const ok = (index: number) => ({ type: 'ok', step: index })
    const wire = await send(server.url, [
      batch(
        step('SELECT 0'),
        step('SELECT broken'),
        step('SELECT 2', ok(0)),
        step('SELECT 3', ok(1)),
        step('SELECT 4', { type: 'error', step: 1 }),
        step('SELECT 5', { type: 'not', cond: ok(3) }),
        step('SELECT 6', { type: 'and', conds: [ok(0), ok(1)] }),
        step('SELECT 7', { type: 'or', conds: [ok(0), ok(1)] }),
        step('SELECT 8', { type: 'error', step: 3 }),
        step('SELECT 9', { type: 'and', conds: [] }),
        step('SELECT 10', { type: 'or', conds: [] }),
      ),
      close,
    ])
    const { step_results = [], step_errors = [] } = responses(wire)[0]?.result ?? {}
    const ran = step_results.flatMap((result, index) => (result === null ? [] : [index]))
    expect(ran).toEqual([0, 2, 4, 5, 7, 9])
    expect(step_errors.map((error: { code: string } | null) => error?.code)).toEqual(
      [1].reduce((codes, index) => codes.with(index, 'SQL_INPUT_ERROR'), new Array(11).fill(undefined)),
    )
  })

  test('behavior: store_sql, sql_id and close_sql', async () => {
    const server = await startServer({ path: ':memory:' })
    const wire = await send(server.url, [
      { type: 'store_sql', sql_id: 1, sql: 'SELECT 7 AS seven' },
      { type: 'execute', stmt: { sql_id: 1 } },
      batch({ stmt: { sql_id: 1 } }),
      { type: 'sequence', sql_id: 1 },
      { type: 'describe', sql_id: 1 },
      { type: 'close_sql', sql_id: 1 },
      { type: 'close_sql', sql_id: 99 },
      { type: 'store_sql', sql_id: 1, sql: 'SELECT 8' },
      close,
    ])
    expect(responses(wire).map(response => response.type)).toEqual([
      'store_sql',
      'execute',
      'batch',
      'sequence',
      'describe',
      'close_sql',
      'close_sql',
      'store_sql',
      'close',
    ])
    expect(responses(wire)[1]?.result.rows).toEqual([[{ type: 'integer', value: '7' }]])
  })

  test('behavior: describe', async () => {
    const server = await startServer({ path: ':memory:' })
    const wire = await send(server.url, [
      execute('CREATE TABLE t (id INTEGER)'),
      { type: 'describe', sql: 'SELECT id, ? AS a FROM t WHERE id = :id AND 1 = ?5' },
      { type: 'describe', sql: 'INSERT INTO t VALUES (1)' },
      { type: 'describe', sql: 'EXPLAIN SELECT 1' },
      { type: 'describe', sql: 'SELECT * FROM nowhere' },
      close,
    ])
    const [, select, insert, explain] = responses(wire)
    expect(select?.result).toEqual({
      params: [{ name: null }, { name: ':id' }, { name: null }, { name: null }, { name: '?5' }],
      cols: [
        { name: 'id', decltype: 'INTEGER' },
        { name: 'a', decltype: null },
      ],
      is_explain: false,
      is_readonly: true,
    })
    expect(insert?.result).toMatchObject({ is_readonly: false, cols: [] })
    expect(explain?.result).toMatchObject({ is_explain: true, is_readonly: true })
    expect(wire.body.results[4]?.error.code).toBe('SQLITE_UNKNOWN')
  })
})

describe('version 3 only', () => {
  test('default: get_autocommit and is_autocommit follow the transaction', async () => {
    const server = await startServer({ path: ':memory:' })
    const auto = { type: 'is_autocommit' }
    const wire = await pipeline(server, [
      { type: 'get_autocommit' },
      batch(step('BEGIN', auto), step('SELECT 1', auto), step('SELECT 2', { type: 'not', cond: auto })),
      { type: 'get_autocommit' },
      close,
    ])
    const [before, described, after] = responses(wire)
    expect([before?.is_autocommit, after?.is_autocommit]).toEqual([true, false])
    expect(described?.result.step_results.map(entry => entry !== null)).toEqual([true, false, true])
  })

  test.each([
    ['get_autocommit', { type: 'get_autocommit' }],
    ['is_autocommit', batch(step('SELECT 1', { type: 'is_autocommit' }))],
  ])('behavior: %s is a 400 in version 2', async (_name, request) => {
    const server = await startServer({ path: ':memory:' })
    const { status, body } = await post(`${server.url}/v2/pipeline`, { requests: [request] })
    expect(status).toBe(400)
    expect(body.message).toContain('only supported in protocol version hrana3')
  })
})

describe('malformed requests are a 400 and change nothing', () => {
  const deep = (levels: number) =>
    `${'{"type":"not","cond":'.repeat(levels)}{"type":"ok","step":0}${'}'.repeat(levels)}`
  const cases: [string, unknown][] = [
    ['no JSON', '{'],
    ['an empty body', ''],
    ['another type', '[]'],
    ['no requests', '{}'],
    ['an unknown request', { requests: [{ type: 'open' }] }],
    ['a statement without SQL', { requests: [execute('CREATE TABLE x (a)'), { type: 'execute', stmt: {} }] }],
    ['both sql and sql_id', { requests: [{ type: 'execute', stmt: { sql: 'SELECT 1', sql_id: 1 } }] }],
    ['an unknown sql_id', { requests: [{ type: 'execute', stmt: { sql_id: 5 } }] }],
    ['a huge sql_id', { requests: [{ type: 'close_sql', sql_id: 2 ** 31 }] }],
    ['a condition on a later step', { requests: [batch(step('SELECT 1', { type: 'ok', step: 0 }))] }],
    ['a condition of unknown type', { requests: [batch(step('SELECT 1', { type: 'maybe' }))] }],
    ['a request after close', { requests: [close, execute('SELECT 1')] }],
    [
      'a stored id twice',
      { requests: [1, 2].map(() => ({ type: 'store_sql', sql_id: 1, sql: 'SELECT 1' })) },
    ],
    ['a false baton', { baton: 'nonsense', requests: [] }],
    [
      'an endless condition',
      `{"requests":[{"type":"batch","batch":{"steps":[{"stmt":{"sql":"SELECT 1"},"condition":${deep(20_000)}}]}}]}`,
    ],
  ]

  test.each(cases)('%s', async (_name, body) => {
    const server = await startServer({ path: ':memory:' })
    const answer = await post(`${server.url}/v3/pipeline`, body)
    expect(answer.status).toBe(400)
    expect(answer.body).toEqual({ message: expect.any(String), code: expect.any(String) })
    expect((await pipeline(server, [execute('SELECT 1'), close])).status).toBe(200)
  })
})
