import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { convertV4MiniflareOptions, Miniflare } from 'miniflare'
import { expect, onTestFinished, test } from 'vitest'
import { connect, startServer } from './libsql-setup.ts'

// Runs inside workerd: everything that the web client can do over HTTP.
const source = `
import { createClient } from '@libsql/client/web'
const failure = promise => promise.then(() => 'no error', error => error.code)
export default {
  async fetch(request, env) {
    const client = createClient({ url: env.DB, authToken: 'secret' })
    await client.executeMultiple('CREATE TABLE t (id INTEGER PRIMARY KEY, x UNIQUE); CREATE INDEX i ON t (id)')
    const insert = x => ({ sql: 'INSERT INTO t (x) VALUES (?) RETURNING id', args: [x] })
    const batch = await client.batch([insert('a'), insert(new Uint8Array([1, 2]))], 'write')
    const duplicate = await failure(client.batch([insert('b'), insert('a')], 'write'))
    const tx = await client.transaction('write')
    await tx.execute(insert('c'))
    await tx.rollback()
    const kept = await client.transaction('write')
    await kept.execute(insert('d'))
    await kept.commit()
    await client.migrate(['CREATE TABLE m (x)'])
    const many = await Promise.all(Array.from({ length: 20 }, (_, i) => client.batch([insert(i)], 'write')))
    const { rows } = await client.execute('SELECT count(*) AS n FROM t')
    const wrong = createClient({ url: env.DB, authToken: 'wrong' })
    return Response.json({
      ids: batch.map(result => result.rows[0].id),
      duplicate,
      many: many.length,
      count: rows[0].n,
      unauthorized: await failure(wrong.execute('SELECT 1')),
    })
  },
}`

test('default: @libsql/client/web in workerd', async () => {
  const server = await startServer({ token: 'secret' })
  const { outputFiles } = await build({
    stdin: { contents: source, resolveDir: fileURLToPath(new URL('.', import.meta.url)) },
    bundle: true,
    format: 'esm',
    conditions: ['workerd', 'worker', 'browser'],
    write: false,
  })
  const worker = new Miniflare(
    convertV4MiniflareOptions({
      modules: true,
      script: outputFiles[0]?.text ?? '',
      compatibilityDate: '2026-08-01',
      bindings: { DB: server.url },
    }),
  )
  onTestFinished(() => worker.dispose())
  const response = await worker.dispatchFetch('http://worker/')
  expect(await response.json()).toEqual({
    ids: [1, 2],
    duplicate: 'SQLITE_CONSTRAINT',
    many: 20,
    count: 23,
    unauthorized: 'UNAUTHORIZED',
  })
  const { rows } = await connect(server, { authToken: 'secret' }).execute({
    sql: 'SELECT x FROM t WHERE x = ?',
    args: ['d'],
  })
  expect(rows).toHaveLength(1)
})
