import { afterAll, beforeAll, expect, test } from 'vitest'
import type { LibsqlServer } from '../../src/local/libsql/server.ts'
import { startDatabase } from '../support/edge.ts'
import { type SqlProxy, startSqlProxy } from '../support/sql-proxy.ts'
import { streamed } from '../support/stream.ts'
import { idLength, type Streams, startStreams } from '../support/streams.ts'

/** What a stream costs the database, statement by statement. A change of these numbers is one that somebody pays for. */

let database: LibsqlServer
let proxy: SqlProxy
let streams: Streams

beforeAll(async () => {
  database = await startDatabase()
  proxy = await startSqlProxy(database.url)
  streams = await startStreams({ databaseUrl: proxy.url })
})
afterAll(async () => {
  await streams[Symbol.asyncDispose]()
  await proxy.close()
  await database.close()
})

/** The first words of the statements since the last time, but for the policy, which an isolate reads again after a second. */
const taken = () =>
  proxy
    .takeStatements()
    .map(({ sql }) => sql.trim().replaceAll(/\s+/g, ' '))
    .filter(sql => !/^(with|select [^(]*(epoch|from (policy|runners|instances)))/.test(sql))
    .map(sql => sql.split(' ').slice(0, 4).join(' '))

test('default: of a short stream', async () => {
  await streams.say('warm up')
  proxy.takeStatements()
  const client = await streams.ask()
  await client.untilSize(idLength)
  const asked: string[] = []
  // The end is listened for while the id is out already.
  await expect.poll(() => asked.push(...taken())).toBe(2)
  expect(asked).toEqual(['insert into jobs (id,', 'select id from jobs'])
  const job = await streams.claim()
  taken()
  const upload = await streams.upload(job)
  await expect.poll(taken).toEqual(['update jobs set stream_relay'])
  upload.write('first ')
  await client.untilSize(idLength + 6)
  // All that comes within a second is stored at once.
  for (const text of ['second ', 'third ', 'fourth ']) {
    upload.write(text)
    await client.until(said => said.endsWith(text))
  }
  expect((await upload.end()).body).toEqual({ have: 26, stop: false })
  expect(taken()).toEqual(['insert into parts (job,', 'update jobs set stream_bytes'])
  await streams.runner.report([streamed(job, { bytes: 26 })])
  expect(await client.ended).toBe(true)
  expect(client.text()).toBe(`${job.id}\nfirst second third fourth `)
  expect(taken()).toEqual(['update jobs set state', 'select id from jobs', 'select id, state, route,'])
})

test('behavior: one that has ended is a row, and its output; nobody listens', async () => {
  const { id } = await streams.say('all of it')
  taken()
  const again = await streams.resume(id)
  expect([await again.ended, again.text()]).toEqual([true, 'all of it'])
  expect(taken()).toEqual(['select id, state, route,', 'select seq, bytes from'])
})
