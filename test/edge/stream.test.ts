import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { LibsqlServer } from '../../src/local/libsql/server.ts'
import type { Job, JobResult } from '../../src/protocol/job.ts'
import type { ClaimedJob } from '../../src/protocol/runner.ts'
import { startDatabase, startTestEdge, type TestEdge } from '../support/edge.ts'
import { policyOf, startTestRunner, type TestRunner } from '../support/runner.ts'
import { askHave, eventsOf, openReader, openUpload, streamed, type TestReader } from '../support/stream.ts'

let database: LibsqlServer
let edge: TestEdge
let runner: TestRunner

beforeAll(async () => {
  database = await startDatabase()
  edge = await startTestEdge({ databaseUrl: database.url })
  runner = await startTestRunner(edge, [policyOf('echo'), policyOf('other')])
})
afterAll(async () => {
  await edge[Symbol.asyncDispose]()
  await database.close()
})
beforeEach(async () => {
  await edge.db.orm.run('delete from jobs')
  await edge.db.orm.run('delete from parts')
})

const asEvents = { accept: 'text/event-stream' }
const idLength = 37

/** A client's request for a stream. */
async function ask(
  fields: Record<string, unknown> = {},
  headers: Record<string, string> = {},
): Promise<TestReader> {
  return await openReader(new URL('/api/jobs/stream', edge.url), {
    method: 'POST',
    body: { containers: ['echo'], data: {}, ...fields },
    headers,
  })
}

async function resume(id: string, headers: Record<string, string> = {}, query = ''): Promise<TestReader> {
  return await openReader(new URL(`/api/jobs/${id}/stream${query}`, edge.url), { headers })
}

async function claim(): Promise<ClaimedJob> {
  const [job] = await runner.claim({ wait_ms: 5_000 })
  if (!job) throw new Error('Nothing to claim')
  return job
}

const read = async (id: string) => (await (await edge.request(`/api/jobs/${id}`)).json()) as Job

describe('compatible mode', () => {
  test('the id and a line end, by themselves, then the bytes as they come', async () => {
    const client = await ask()
    expect(client.status).toBe(200)
    expect(client.headers['content-type']).toBe('application/octet-stream')
    await client.until(text => text.length === idLength)
    const job = await claim()
    expect(job).toMatchObject({ destination: 2, source: 1 })
    expect(client.text()).toBe(`${job.id}\n`)
    const upload = await openUpload(runner, edge, { ...job, from: 0 })
    upload.write('one ')
    await client.until(text => text.endsWith('one '))
    upload.write('two')
    await client.until(text => text.endsWith('two'))
    expect(await upload.end()).toEqual({ status: 200, body: { have: 7, stop: false } })
    expect(await runner.report([streamed(job, { bytes: 7 })])).toMatchObject([{ answer: 'accepted' }])
    expect(await client.ended).toBe(true)
    expect(client.text()).toBe(`${job.id}\none two`)
    const [result] = (await (await edge.request(`/api/jobs?id=${job.id}`)).json()) as JobResult[]
    expect(result).toEqual({
      id: job.id,
      status: 'success',
      result: { container: 'echo', output: { output: 'one two' } },
    })
    expect(await read(job.id)).toMatchObject({ state: 'success', stream: { bytes: 7, truncated: false } })
  })
})

describe('event mode', () => {
  test('start, output, completed', async () => {
    const client = await ask({}, asEvents)
    const job = await claim()
    const upload = await openUpload(runner, edge, { ...job, from: 0 })
    const euro = Buffer.from('€')
    upload.write(Buffer.concat([Buffer.from('a'), euro.subarray(0, 2)]))
    await client.until(text => text.includes('event: output'))
    upload.write(euro.subarray(2))
    await client.until(text => text.split('event: output').length === 3)
    upload.write(Buffer.from([0xff]))
    await upload.end()
    await runner.report([streamed(job, { bytes: 5, utf8: false })])
    expect(await client.ended).toBe(true)
    const events = eventsOf(client.text())
    expect(events.map(({ event, id }) => [event, id])).toEqual([
      ['start', null],
      ['output', '1'],
      ['output', '4'],
      ['output', '5'],
      ['completed', 'end'],
    ])
    expect(events.map(({ data }) => data).slice(0, 4)).toEqual([
      { id: job.id, container: 'echo' },
      { text: 'a' },
      { text: '€' },
      { base64: '/w==' },
    ])
    expect(events.at(-1)?.data).toMatchObject({ id: job.id, state: 'success' })
    expect(events.at(-1)?.data).not.toHaveProperty('result')
    const again = await resume(job.id, { ...asEvents, 'last-event-id': '1' })
    await again.ended
    expect(eventsOf(again.text()).map(({ event, id }) => [event, id])).toEqual([
      ['start', null],
      ['output', '5'],
      ['completed', 'end'],
    ])
    expect((await resume(job.id, { 'last-event-id': 'end' })).status).toBe(204)
  })
})

describe('leaving', () => {
  test('cancels the job, and stops the upload', async () => {
    const client = await ask()
    const job = await claim()
    const upload = await openUpload(runner, edge, { ...job, from: 0 })
    upload.write('x')
    await client.until(text => text.endsWith('x'))
    client.leave()
    expect((await upload.answer).body.stop).toBe(true)
    expect(await read(job.id)).toMatchObject({ state: 'cancelled' })
  })

  test('does not cancel a detached one', async () => {
    const client = await ask({ detach: true })
    const job = await claim()
    const upload = await openUpload(runner, edge, { ...job, from: 0 })
    upload.write('x')
    await client.until(text => text.endsWith('x'))
    client.leave()
    upload.write('yz')
    await upload.end()
    await runner.report([streamed(job, { bytes: 3 })])
    const again = await resume(job.id)
    await again.ended
    expect(again.text()).toBe('xyz')
    expect(await askHave(runner, edge, job).catch(() => null)).toMatchObject({ code: 'conflict' })
  })
})
