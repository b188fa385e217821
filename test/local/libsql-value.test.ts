import fc from 'fast-check'
import { expect, test } from 'vitest'
import { close, connect, execute, pipeline, startServer } from './libsql-setup.ts'

const integer = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
const text = fc.string({ unit: 'grapheme', maxLength: 60 }).filter(s => !s.includes('\0') && s.isWellFormed())
// The client itself sends minus zero as 0.
const float = fc.double({ noNaN: true, noDefaultInfinity: true }).filter(x => !Object.is(x, -0))
const blob = fc.uint8Array({ maxLength: 200 })
const value = fc.oneof(integer, text, float, blob, fc.constant(null))

const plain = (cell: unknown) => (cell instanceof ArrayBuffer ? new Uint8Array(cell) : cell)

test('default: every value comes back as it went, by position and by name, stored and not', async () => {
  const client = connect(await startServer({ path: ':memory:' }))
  await client.execute('CREATE TABLE v (a ANY, b ANY, c ANY) STRICT')
  const row = fc.tuple(value, value, value)
  await fc.assert(
    fc.asyncProperty(row, async args => {
      const named = { a: args[0], b: args[1], c: args[2] }
      const results = await client.batch(
        [
          { sql: 'SELECT ?, ?, ?', args },
          { sql: 'SELECT $a, $b, $c', args: named },
          { sql: 'INSERT INTO v VALUES (?3, ?1, ?2) RETURNING b, c, a', args },
        ],
        'write',
      )
      for (const result of results) {
        const [cells] = result.rows
        expect([0, 1, 2].map(index => plain(cells?.[index]))).toEqual(args)
      }
    }),
    { numRuns: 150 },
  )
})

test('behavior: the wire form of each type, in and out', async () => {
  const server = await startServer({ path: ':memory:' })
  const args = [
    { type: 'integer', value: '9223372036854775807' },
    { type: 'float', value: 5e-324 },
    { type: 'text', value: 'žluťoučký 🐎' },
    { type: 'blob', base64: 'AAEC/w' },
    { type: 'null' },
  ]
  const { body } = await pipeline(server, [execute('SELECT ?, ?, ?, ?, ?', { args }), close])
  expect(body.results[0]?.response.result.rows).toEqual([args])
})

test('behavior: padded base64 is taken, unpadded is sent', async () => {
  const server = await startServer({ path: ':memory:' })
  const args = [{ type: 'blob', base64: 'AA==' }]
  const { body } = await pipeline(server, [execute('SELECT ? AS b, hex(?1) AS h', { args }), close])
  const [row] = body.results[0]?.response.result.rows ?? []
  expect(row).toEqual([
    { type: 'blob', base64: 'AA' },
    { type: 'text', value: '00' },
  ])
})

test('behavior: minus zero keeps its sign', async () => {
  const client = connect(await startServer({ path: ':memory:' }))
  const { rows } = await client.execute('SELECT -0.0 AS z')
  expect(Object.is(rows[0]?.z, -0)).toBe(true)
})

test('behavior: text with a NUL is refused, since it would come back cut', async () => {
  const client = connect(await startServer({ path: ':memory:' }))
  await expect(client.execute({ sql: 'SELECT ?', args: ['a\0b'] })).rejects.toMatchObject({
    code: 'ARGS_INVALID',
  })
})

test.each([
  ['integer', { type: 'integer', value: '9223372036854775808' }],
  ['integer', { type: 'integer', value: '1.5' }],
  ['integer', { type: 'integer', value: 5 }],
  ['float', { type: 'float', value: '1' }],
  ['text', { type: 'text', value: 1 }],
  ['blob', { type: 'blob', base64: '*' }],
  ['boolean', { type: 'boolean', value: true }],
])('behavior: a malformed %s is a 400', async (_type, arg) => {
  const server = await startServer({ path: ':memory:' })
  const { status, body } = await pipeline(server, [execute('SELECT ?', { args: [arg] }), close])
  expect(status).toBe(400)
  expect(body).toEqual({ message: expect.any(String), code: 'HRANA_PROTO_ERROR' })
})
