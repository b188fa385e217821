import { LibsqlError } from '@libsql/client'
import { describe, expect, test } from 'vitest'
import { connect, startServer } from './libsql-setup.ts'

async function setup() {
  const server = await startServer()
  const client = connect(server)
  await client.execute('CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT UNIQUE)')
  return { server, client }
}

const count = async (client: Awaited<ReturnType<typeof setup>>['client']) =>
  (await client.execute('SELECT count(*) AS n FROM t')).rows[0]?.n

describe('@libsql/client: execute', () => {
  test('default', async () => {
    const { client } = await setup()
    const insert = await client.execute({ sql: 'INSERT INTO t (name) VALUES (?)', args: ['a'] })
    expect(insert).toMatchObject({ rowsAffected: 1, lastInsertRowid: 1n, columns: [], rows: [] })
    const select = await client.execute('SELECT id, name FROM t')
    expect(select.columns).toEqual(['id', 'name'])
    expect(select.columnTypes).toEqual(['INTEGER', 'TEXT'])
    expect(select.rows.map(row => ({ ...row }))).toEqual([{ id: 1n, name: 'a' }])
    expect(select.rowsAffected).toBe(0)
    expect(select.lastInsertRowid).toBeUndefined()
  })

  test('behavior: RETURNING gives rows, count and rowid', async () => {
    const { client } = await setup()
    const result = await client.execute("INSERT INTO t (name) VALUES ('a'), ('b') RETURNING id")
    expect(result).toMatchObject({ rowsAffected: 2, lastInsertRowid: 2n })
    expect(result.rows.map(row => row.id)).toEqual([1n, 2n])
    const update = await client.execute("UPDATE t SET name = name || '!' WHERE id > 1 RETURNING name")
    expect(update.rowsAffected).toBe(1)
    expect(update.rows[0]?.name).toBe('b!')
    expect((await client.execute("UPDATE t SET name = 'x' WHERE id = 9 RETURNING id")).rowsAffected).toBe(0)
  })

  test('behavior: rowids above 2^53 are exact', async () => {
    const { client } = await setup()
    const result = await client.execute('INSERT INTO t (id) VALUES (9007199254740993)')
    expect(result.lastInsertRowid).toBe(9007199254740993n)
  })

  test('behavior: named arguments with and without their prefix, also several times', async () => {
    const { client } = await setup()
    const sql = 'SELECT :a AS a, @b AS b, $c AS c, :a AS again'
    const bare = await client.execute({ sql, args: { a: 1n, b: 'x', c: null } })
    expect({ ...bare.rows[0] }).toEqual({ a: 1n, b: 'x', c: null, again: 1n })
    const prefixed = await client.execute({ sql, args: { ':a': 1n, '@b': 'x', $c: null } })
    expect({ ...prefixed.rows[0] }).toEqual({ a: 1n, b: 'x', c: null, again: 1n })
  })

  test('behavior: errors carry the codes of sqld', async () => {
    const { client } = await setup()
    await client.execute("INSERT INTO t (name) VALUES ('a')")
    await expect(client.execute("INSERT INTO t (name) VALUES ('a')")).rejects.toMatchObject({
      code: 'SQLITE_CONSTRAINT',
      message: 'SQLITE_CONSTRAINT: SQLite error: UNIQUE constraint failed: t.name',
    })
    await expect(client.execute('SELECT * FROM nowhere')).rejects.toMatchObject({ code: 'SQLITE_UNKNOWN' })
    await expect(client.execute('SELEC 1')).rejects.toMatchObject({ code: 'SQL_PARSE_ERROR' })
    await expect(client.execute('SELECT missing FROM t')).rejects.toMatchObject({ code: 'SQL_INPUT_ERROR' })
    await expect(client.execute('SELECT 1; SELECT 2')).rejects.toMatchObject({ code: 'SQL_MANY_STATEMENTS' })
    await expect(client.execute('-- nothing')).rejects.toMatchObject({ code: 'SQL_NO_STATEMENT' })
    await expect(client.execute({ sql: 'SELECT ?', args: [] })).rejects.toMatchObject({
      code: 'ARGS_INVALID',
    })
  })

  test('behavior: foreign keys are enforced', async () => {
    const { client } = await setup()
    await client.execute('CREATE TABLE child (t INTEGER REFERENCES t (id))')
    await expect(client.execute('INSERT INTO child VALUES (7)')).rejects.toMatchObject({
      code: 'SQLITE_CONSTRAINT',
    })
  })

  test('behavior: columns follow a change of the schema', async () => {
    const { client } = await setup()
    expect((await client.execute('SELECT * FROM t')).columns).toEqual(['id', 'name'])
    const tx = await client.transaction('write')
    await tx.execute('ALTER TABLE t RENAME COLUMN name TO label')
    expect((await client.execute('SELECT * FROM t')).columns).toEqual(['id', 'name'])
    await tx.commit()
    expect((await client.execute('SELECT * FROM t')).columns).toEqual(['id', 'label'])
  })
})

describe('@libsql/client: batch', () => {
  test.each(['write', 'read', 'deferred'] as const)('default: %s', async mode => {
    const { client } = await setup()
    const results = await client.batch(['SELECT 1 AS one', { sql: 'SELECT ? AS two', args: [2n] }], mode)
    expect(results.map(result => ({ ...result.rows[0] }))).toEqual([{ one: 1n }, { two: 2n }])
  })

  test('behavior: one failing statement undoes all, and the earlier ones still have their results', async () => {
    const { client } = await setup()
    const insert = (name: string) => ({ sql: 'INSERT INTO t (name) VALUES (?)', args: [name] })
    const failed = client.batch([insert('a'), insert('b'), insert('a'), insert('c')], 'write')
    await expect(failed).rejects.toMatchObject({ code: 'SQLITE_CONSTRAINT', statementIndex: 2 })
    expect(await count(client)).toBe(0n)
    await client.batch([insert('a'), insert('b')], 'write')
    expect(await count(client)).toBe(2n)
  })

  test('behavior: a long statement repeated in a batch is stored once', async () => {
    const { client } = await setup()
    const sql = `INSERT INTO t (name) VALUES (? || '${'x'.repeat(300)}')`
    await client.batch(
      Array.from({ length: 20 }, (_, i) => ({ sql, args: [i] })),
      'write',
    )
    expect(await count(client)).toBe(20n)
  })

  test('behavior: a write in a read batch is not refused, as in sqld', async () => {
    const { client } = await setup()
    await client.batch(["INSERT INTO t (name) VALUES ('a')"], 'read')
    expect(await count(client)).toBe(1n)
  })
})

describe('@libsql/client: transaction', () => {
  test('default: commit', async () => {
    const { client } = await setup()
    const tx = await client.transaction('write')
    await tx.execute("INSERT INTO t (name) VALUES ('a')")
    await tx.batch(["INSERT INTO t (name) VALUES ('b')", 'SELECT count(*) FROM t'])
    await tx.executeMultiple("INSERT INTO t (name) VALUES ('c'); INSERT INTO t (name) VALUES ('d')")
    expect(await count(client)).toBe(0n)
    await tx.commit()
    expect(tx.closed).toBe(true)
    expect(await count(client)).toBe(4n)
  })

  test('behavior: rollback', async () => {
    const { client } = await setup()
    const tx = await client.transaction('deferred')
    await tx.execute("INSERT INTO t (name) VALUES ('a')")
    await tx.rollback()
    expect(await count(client)).toBe(0n)
    await expect(tx.execute('SELECT 1')).rejects.toMatchObject({ code: 'TRANSACTION_CLOSED' })
  })

  test('behavior: close rolls back and frees the lock', async () => {
    const { client } = await setup()
    const tx = await client.transaction('write')
    await tx.execute("INSERT INTO t (name) VALUES ('a')")
    tx.close()
    await client.execute("INSERT INTO t (name) VALUES ('b')")
    expect(await count(client)).toBe(1n)
  })

  test('behavior: a failed statement leaves the transaction open', async () => {
    const { client } = await setup()
    const tx = await client.transaction('write')
    await tx.execute("INSERT INTO t (name) VALUES ('a')")
    await expect(tx.execute("INSERT INTO t (name) VALUES ('a')")).rejects.toBeInstanceOf(LibsqlError)
    await tx.execute("INSERT INTO t (name) VALUES ('b')")
    await tx.commit()
    expect(await count(client)).toBe(2n)
  })

  test('behavior: a read transaction keeps its snapshot and does not stop writers', async () => {
    const { client } = await setup()
    const tx = await client.transaction('read')
    expect((await tx.execute('SELECT count(*) AS n FROM t')).rows[0]?.n).toBe(0n)
    await client.execute("INSERT INTO t (name) VALUES ('a')")
    expect((await tx.execute('SELECT count(*) AS n FROM t')).rows[0]?.n).toBe(0n)
    await tx.commit()
    expect(await count(client)).toBe(1n)
  })
})

describe('@libsql/client: the rest', () => {
  test('behavior: executeMultiple stops at the first failure', async () => {
    const { client } = await setup()
    await client.executeMultiple(`
      INSERT INTO t (name) VALUES ('a;b'); -- a ; in a comment
      CREATE TRIGGER grow AFTER INSERT ON t BEGIN UPDATE t SET name = CASE WHEN 1 THEN 'z' END WHERE 0; SELECT 1; END;
      BEGIN; INSERT INTO t (name) VALUES ('c'); COMMIT;`)
    expect(await count(client)).toBe(2n)
    const failing =
      "INSERT INTO t (name) VALUES ('d'); INSERT INTO t (name) VALUES ('d'); INSERT INTO t (name) VALUES ('e')"
    await expect(client.executeMultiple(failing)).rejects.toMatchObject({ code: 'SQLITE_CONSTRAINT' })
    expect(await count(client)).toBe(3n)
  })

  test('behavior: migrate runs with foreign keys off, and they are on again after it', async () => {
    const { client } = await setup()
    await client.migrate(['CREATE TABLE child (t INTEGER REFERENCES t (id))', 'INSERT INTO child VALUES (7)'])
    await expect(client.execute('INSERT INTO child VALUES (8)')).rejects.toMatchObject({
      code: 'SQLITE_CONSTRAINT',
    })
    await expect(client.migrate(['CREATE TABLE more (x)', 'CREATE TABLE t (x)'])).rejects.toThrow(
      'already exists',
    )
    await expect(client.execute('SELECT * FROM more')).rejects.toThrow('no such table')
  })

  test('behavior: sync is refused by the client, as it is for every remote', async () => {
    const { client } = await setup()
    expect(() => client.sync()).toThrow('sync not supported in http mode')
  })

  test('behavior: a memory database is one database for all streams, and gone at the end', async () => {
    const first = await startServer({ path: ':memory:' })
    const client = connect(first)
    await client.execute('CREATE TABLE m (x)')
    const tx = await client.transaction('write')
    await tx.execute('INSERT INTO m VALUES (1)')
    expect((await client.execute('SELECT * FROM m')).rows).toHaveLength(0)
    await tx.commit()
    expect((await client.execute('SELECT * FROM m')).rows).toHaveLength(1)
    const other = connect(await startServer({ path: ':memory:' }))
    await expect(other.execute('SELECT * FROM m')).rejects.toThrow('no such table')
  })
})
