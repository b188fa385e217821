import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { eventsOf, openReader, streamed, type TestReader } from '../support/stream.ts'
import { asEvents, idLength, madeUpId, type Streams, startStreams } from '../support/streams.ts'

let streams: Streams

beforeAll(async () => {
  streams = await startStreams()
})
afterAll(async () => {
  await streams[Symbol.asyncDispose]()
})
beforeEach(async () => {
  await streams.edge.db.orm.run('delete from jobs')
  await streams.edge.db.orm.run('delete from parts')
})

const refusal = (reader: TestReader) => JSON.parse(reader.text()) as unknown

/** A refusal as it comes instead of a stream. */
async function refused(reader: TestReader): Promise<unknown> {
  await reader.ended
  expect(reader.headers['content-type']).toBe('application/json')
  return { status: reader.status, ...(refusal(reader) as object) }
}

describe('compatible mode', () => {
  test('default: the id and a line end, by themselves, then the bytes as they come', async () => {
    const { ask, claim, upload: openUpload, runner, result, read } = streams
    const client = await ask()
    expect(client.status).toBe(200)
    expect(client.headers).toMatchObject({
      'content-type': 'application/octet-stream',
      'cache-control': 'no-store',
    })
    await client.untilSize(idLength)
    const job = await claim()
    expect(job).toMatchObject({ destination: 2, source: 1, containers: ['echo'] })
    expect(client.text()).toBe(`${job.id}\n`)
    const upload = await openUpload(job)
    upload.write('one ')
    await client.until(text => text.endsWith('one '))
    upload.write('two')
    await client.until(text => text.endsWith('two'))
    expect(await upload.end()).toEqual({ status: 200, body: { have: 7, stop: false } })
    expect(await runner.report([streamed(job, { bytes: 7 })])).toMatchObject([{ answer: 'accepted' }])
    expect(await client.ended).toBe(true)
    expect(client.text()).toBe(`${job.id}\none two`)
    expect(await result(job.id)).toEqual({
      id: job.id,
      status: 'success',
      result: { container: 'echo', output: { output: 'one two' } },
    })
    expect(await read(job.id)).toMatchObject({ state: 'success', stream: { bytes: 7, truncated: false } })
  })

  test('behavior: bytes are not touched, nor what is no text', async () => {
    const { say, resume, result } = streams
    const all = Uint8Array.from({ length: 1_000 }, (_, at) => at)
    const { id } = await say(all)
    const again = await resume(id)
    await again.ended
    expect(again.bytes().equals(all)).toBe(true)
    expect(await result(id)).toMatchObject({
      result: {
        container: 'echo',
        output: { output: Buffer.from(all).toString('base64'), encoding: 'base64' },
      },
    })
  })

  test('behavior: text comes back as it was said, over every piece that it is stored in', async () => {
    const { say, result } = streams
    const text = '€ "\\ \u0000\u001f 🦊\n'.repeat(40_000)
    const { id } = await say(text)
    expect(await result(id)).toMatchObject({ result: { container: 'echo', output: { output: text } } })
  })

  test('behavior: of a chain the first container is called', async () => {
    const { ask, claim } = streams
    const client = await ask({ containers: ['echo', 'other'] })
    expect((await claim()).containers).toEqual(['echo'])
    client.leave()
  })

  test('behavior: no output at all', async () => {
    const { ask, claim, upload, runner, result } = streams
    const client = await ask()
    const job = await claim()
    expect((await (await upload(job)).end()).body).toEqual({ have: 0, stop: false })
    await runner.report([streamed(job, { bytes: 0 })])
    expect(await client.ended).toBe(true)
    expect(client.text()).toBe(`${job.id}\n`)
    expect(await result(job.id)).toMatchObject({
      status: 'success',
      result: { container: 'echo', output: { output: '' } },
    })
  })
})

describe('refusals', () => {
  test('behavior: before the first byte they are answers like any', async () => {
    const { ask, edge } = streams
    expect(await refused(await ask({ containers: ['nobody'] }))).toMatchObject({
      status: 422,
      code: 'unsupported_container',
    })
    expect(await refused(await ask({ containers: [] }))).toMatchObject({ code: 'no_containers' })
    expect(await refused(await ask({ data: 1 }))).toMatchObject({ status: 400, code: 'invalid_request' })
    expect(await refused(await ask({ detach: -1 }))).toMatchObject({ code: 'invalid_request' })
    const response = await edge.create('{', { path: '/api/jobs/stream' })
    expect([response.status, await response.json()]).toMatchObject([400, { code: 'malformed_json' }])
    const empty = await edge.create('', { path: '/api/jobs/stream' })
    expect([empty.status, await empty.json()]).toMatchObject([400, { code: 'malformed_json' }])
    const [{ count = 0 } = {}] = await edge.db.orm.all<{ count: number }>(
      'select count(*) as count from jobs',
    )
    expect(count).toBe(0)
  })

  test('behavior: a delegated subscription cannot be streamed', async () => {
    const { edge } = streams
    const body = { signature: {}, subscription: {}, data: {} }
    const reader = await openReader(new URL('/api/jobs/stream', edge.url), { method: 'POST', body })
    expect(await refused(reader)).toEqual({
      status: 405,
      code: 'streaming_offchain_only',
      error: 'Streaming only supported for OffchainJob requests.',
      params: {},
    })
  })

  test("behavior: a stream that is not there, another's, or none", async () => {
    const { begin, resume, edge } = streams
    const notFound = { status: 404, code: 'not_found' }
    expect(await refused(await resume(madeUpId()))).toMatchObject(notFound)
    expect(await refused(await resume('x'))).toMatchObject(notFound)
    const { client, job } = await begin()
    const other = { headers: { 'cf-connecting-ip': '192.0.2.77' } }
    expect(await refused(await resume(job.id, other))).toMatchObject(notFound)
    client.leave()
    const plain = await edge.createJob({ containers: ['echo'], data: {} })
    expect(await refused(await resume(plain))).toMatchObject({ status: 409, code: 'conflict' })
    const bad = await resume(job.id, { query: '?from=-1' })
    expect(await refused(bad)).toMatchObject({ status: 400, code: 'invalid_request' })
  })

  test('behavior: beyond the end there is nothing', async () => {
    const { say, resume } = streams
    const { id } = await say('abc')
    expect(await refused(await resume(id, { query: '?from=4' }))).toMatchObject({
      status: 400,
      params: { bytes: 3 },
    })
    const end = await resume(id, { query: '?from=3' })
    expect([await end.ended, end.status, end.text()]).toEqual([true, 200, ''])
  })

  test('behavior: beyond an end that is yet to come there is nothing either, which its readers are told then', async () => {
    const { begin, resume, runner } = streams
    const { client, job, upload } = await begin({ first: 'abc' })
    const verbatim = await resume(job.id, { query: '?from=4' })
    const events = await resume(job.id, { headers: { ...asEvents, 'last-event-id': '4' } })
    const end = await resume(job.id, { headers: { ...asEvents, 'last-event-id': '3' } })
    await upload.end()
    await runner.report([streamed(job, { bytes: 3 })])
    expect([await client.ended, await verbatim.ended, verbatim.text()]).toEqual([true, false, ''])
    await Promise.all([events.ended, end.ended])
    expect(eventsOf(events.text()).slice(1)).toEqual([
      {
        event: 'error',
        id: null,
        data: { code: 'invalid_request', error: 'The stream has fewer bytes', job: null },
      },
    ])
    expect(eventsOf(end.text()).slice(1)).toMatchObject([{ event: 'completed' }])
  })

  test('behavior: 64 read a stream, not one more', async () => {
    const { begin, resume, upload: open, runner } = streams
    const { client, job, upload } = await begin()
    const others: TestReader[] = []
    for (let count = 1; count < 64; count += 1) others.push(await resume(job.id))
    await Promise.all(others.map(other => other.untilSize(1)))
    const late = await resume(job.id)
    expect(late.headers['retry-after']).toBe('5')
    expect(await refused(late)).toMatchObject({ status: 429, code: 'too_many_readers' })
    others.pop()?.leave()
    await expect
      .poll(async () => {
        const next = await resume(job.id)
        next.leave()
        return next.status
      })
      .toBe(200)
    await upload.end()
    await runner.report([streamed(job, { bytes: 1 })])
    expect(await Promise.all([client, ...others].map(reader => reader.ended))).toEqual(
      new Array(63).fill(true),
    )
    expect((await (await open(job)).end()).status).toBe(409)
  })
})

describe('once', () => {
  test('behavior: a key gives the same stream from its start, while it runs and after', async () => {
    const { begin, ask, runner, upload: _ } = streams
    const headers = { 'idempotency-key': madeUpId() }
    const { client, job, upload } = await begin({ headers, first: 'one ' })
    const again = await ask({}, { headers })
    expect(again.headers['idempotent-replayed']).toBe('true')
    expect(await again.until(text => text.endsWith('one '))).toBe(`${job.id}\none `)
    client.leave()
    upload.write('two')
    await again.until(text => text.endsWith('two'))
    await upload.end()
    await runner.report([streamed(job, { bytes: 7 })])
    expect(await again.ended).toBe(true)
    const late = await ask({}, { headers })
    await late.ended
    expect(late.text()).toBe(`${job.id}\none two`)
    expect(await refused(await ask({ data: { other: 1 } }, { headers }))).toMatchObject({
      status: 409,
      code: 'idempotency_conflict',
    })
    const plain = await streams.edge.request('/api/jobs', {
      method: 'POST',
      headers,
      body: JSON.stringify({ containers: ['echo'], data: {} }),
    })
    expect(plain.status).toBe(409)
  })
})

describe('event mode', () => {
  test('default: start, output, completed', async () => {
    const { ask, claim, upload: open, runner, resume } = streams
    const client = await ask({}, { headers: asEvents })
    expect(client.headers['content-type']).toBe('text/event-stream; charset=utf-8')
    const job = await claim()
    const upload = await open(job)
    const euro = Buffer.from('€')
    upload.write(Buffer.concat([Buffer.from('a'), euro.subarray(0, 2)]))
    await client.until(text => text.includes('event: output'))
    upload.write(euro.subarray(2))
    await client.until(text => text.split('event: output').length === 3)
    upload.write(Buffer.from([0xff]))
    await client.until(text => text.split('event: output').length === 4)
    await upload.end()
    await runner.report([streamed(job, { bytes: 5, utf8: false })])
    expect(await client.ended).toBe(true)
    const events = eventsOf(client.text())
    expect(events.slice(0, 4)).toEqual([
      { event: 'start', id: null, data: { id: job.id, container: 'echo' } },
      { event: 'output', id: '1', data: { text: 'a' } },
      { event: 'output', id: '4', data: { text: '€' } },
      { event: 'output', id: '5', data: { base64: '/w==' } },
    ])
    expect(events.slice(4)).toMatchObject([
      { event: 'completed', id: 'end', data: { id: job.id, state: 'success', stream: { bytes: 5 } } },
    ])
    expect(events.at(-1)?.data).not.toHaveProperty('result')
    const again = await resume(job.id, { headers: { ...asEvents, 'last-event-id': '1' } })
    await again.ended
    expect(eventsOf(again.text()).map(({ event, id }) => [event, id])).toEqual([
      ['start', null],
      ['output', '5'],
      ['completed', 'end'],
    ])
    const seen = await resume(job.id, { headers: { ...asEvents, 'last-event-id': 'end' } })
    expect([seen.status, seen.text()]).toEqual([204, ''])
  })

  test('behavior: after a connection that broke it goes on exactly behind the last event', async () => {
    const { ask, claim, upload: open, runner, resume } = streams
    const client = await ask({ detach: 60 }, { headers: asEvents })
    const job = await claim()
    const upload = await open(job)
    upload.write('first ')
    await client.until(text => text.includes('first '))
    client.leave()
    upload.write('second ')
    const id = eventsOf(client.text()).at(-1)?.id ?? ''
    expect(id).toBe('6')
    const again = await resume(job.id, { headers: { ...asEvents, 'last-event-id': id } })
    await again.until(text => text.includes('second '))
    upload.write('third')
    await again.until(text => text.includes('third'))
    await upload.end()
    await runner.report([streamed(job, { bytes: 18 })])
    await again.ended
    const output = eventsOf(again.text()).filter(({ event }) => event === 'output')
    expect(output.map(({ data }) => data.text).join('')).toBe('second third')
    expect(output.at(-1)?.id).toBe('18')
  })
})

describe('readers', () => {
  test('behavior: ten of one stream all get every byte, a slow one among them', async () => {
    const { begin, resume, runner } = streams
    const { client, job, upload } = await begin({ first: 'begin' })
    const slow = await resume(job.id, { paused: true })
    const others = await Promise.all(Array.from({ length: 8 }, async () => await resume(job.id)))
    const bytes = 6 * 1024 * 1024
    await upload.pour(bytes - 5, Buffer.from('0123456789abcdef'.repeat(4_096))).done
    expect((await upload.end()).body).toEqual({ have: bytes, stop: false })
    slow.resume()
    await runner.report([streamed(job, { bytes })])
    const all = [client, slow, ...others]
    expect(await Promise.all(all.map(reader => reader.ended))).toEqual(new Array(10).fill(true))
    const [first, ...rest] = all.map(reader => reader.bytes())
    expect(first?.byteLength).toBe(bytes + idLength)
    const said = first?.subarray(idLength)
    for (const read of rest) expect(said?.equals(read)).toBe(true)
  })

  test('behavior: a slow one that reads from the start keeps its job', async () => {
    const { begin, resume, runner, read } = streams
    const { client, job, upload } = await begin()
    const bytes = 8 * 1024 * 1024
    await upload.pour(bytes - 1).done
    await client.untilSize(bytes + idLength)
    const slow = await resume(job.id, { paused: true })
    client.leave()
    // Longer than a job goes unread.
    await new Promise(resolve => setTimeout(resolve, 1_500))
    expect(await read(job.id)).toMatchObject({ state: 'running' })
    slow.resume()
    await slow.untilSize(bytes)
    await upload.end()
    await runner.report([streamed(job, { bytes })])
    expect(await slow.ended).toBe(true)
  })
})
