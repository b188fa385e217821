import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { ControlAnswer } from '../../src/protocol/runner.ts'
import { eventsOf, openReader, streamed, type TestReader } from '../support/stream.ts'
import { asEvents, idLength, type Streams, startStreams } from '../support/streams.ts'

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

/** What is asked for of a client that leaves. It takes a second. */
const leaveMs = 2_000

/** How long two took, or three where one was late: a machine is busy for a moment, and two of three are in time all the same. */
async function timesOf(play: () => Promise<number>): Promise<number[]> {
  const times = [await play(), await play()]
  const late = times.filter(ms => ms >= leaveMs)
  return late.length === 1 ? [...times, await play()] : times
}

const areInTime = (times: readonly number[]) => times.filter(ms => ms < leaveMs).length >= 2

const waitForOrders = async (holding: { id: string; attempt: number }[]) => {
  const { runner } = streams
  const { instance } = runner
  const response = await runner.post('/runner/control', { instance, holding, mode: 'run', wait_ms: 10_000 })
  return (await response.json()) as ControlAnswer
}

const state = async (id: string) => (await streams.read(id)).state

/** Its last event. */
async function lastEvent(client: TestReader) {
  await client.ended
  return eventsOf(client.text()).at(-1)
}

/** The upload has brought nothing for a while: another attempt may begin. */
const untilQuiet = async (id: string) => {
  const open = `select id from jobs where id = '${id}' and stream_relay is not null`
  const isOpen = async () => (await streams.edge.db.orm.all(open)).length === 1
  await expect.poll(isOpen).toBe(true)
  await expect.poll(isOpen).toBe(false)
}

const untilStored = async (id: string) => {
  const stored = `select id from jobs where id = '${id}' and stream_bytes > 0`
  await expect.poll(async () => (await streams.edge.db.orm.all(stored)).length).toBe(1)
}

const lapse = async (id: string) => {
  await streams.edge.db.orm.run(`update jobs set lease_expires_at = 1 where id = '${id}'`)
  await streams.edge.runSchedule()
}

describe('a client leaves', () => {
  test.for([
    ['compatible', {}],
    ['event', asEvents],
  ] as const)(
    'default: in %s mode its job is cancelled, the upload stopped, the runner told, within 2 s',
    async ([, headers]) => {
      const times = await timesOf(async () => {
        const { client, job, upload } = await streams.begin({ headers })
        const orders = waitForOrders([job])
        const began = performance.now()
        client.leave()
        expect((await upload.answer).body).toMatchObject({ stop: true })
        expect((await orders).cancel).toEqual([{ id: job.id, attempt: job.attempt }])
        const ms = performance.now() - began
        expect(await streams.read(job.id)).toMatchObject({
          state: 'cancelled',
          error: { code: 'cancelled', message: 'Its client left.' },
        })
        expect(await streams.result(job.id)).toMatchObject({
          result: { container: 'echo', code: 'cancelled', output: { output: 'x' } },
        })
        expect((await (await streams.upload(job, 1)).end()).status).toBe(409)
        return ms
      })
      expect(times).toSatisfy(areInTime)
    },
  )

  test('behavior: before the container has said anything', async () => {
    const client = await streams.ask()
    const job = await streams.claim()
    const upload = await streams.upload(job)
    client.leave()
    expect((await upload.answer).body).toEqual({ have: 0, stop: true })
    expect(await state(job.id)).toBe('cancelled')
  })

  test('behavior: and one that has only asked for the head is none', async () => {
    const { client, job, upload } = await streams.begin()
    const head = await openReader(new URL(`/api/jobs/${job.id}/stream`, streams.edge.url), { method: 'HEAD' })
    expect(head.status).toBe(200)
    expect(head.headers['content-type']).toBe('application/octet-stream')
    client.leave()
    expect((await upload.answer).body).toMatchObject({ stop: true })
    expect(await state(job.id)).toBe('cancelled')
    head.leave()
  })

  test('behavior: while its job waits', async () => {
    const times = await timesOf(async () => {
      const client = await streams.ask()
      await client.untilSize(idLength)
      const id = client.text().trim()
      const began = performance.now()
      client.leave()
      await expect.poll(async () => await state(id)).toBe('cancelled')
      const ms = performance.now() - began
      expect(await streams.runner.claim()).toEqual([])
      return ms
    })
    expect(times).toSatisfy(areInTime)
  })

  test('behavior: one of two', async () => {
    const { client, job, upload } = await streams.begin()
    const other = await streams.resume(job.id)
    await other.untilSize(1)
    client.leave()
    upload.write('y')
    await other.untilSize(2)
    other.leave()
    expect((await upload.answer).body).toMatchObject({ stop: true })
  })

  test.for([true, 60])('behavior: with `detach` %s it runs on', async detach => {
    const { client, job, upload } = await streams.begin({ fields: { detach } })
    client.leave()
    // Longer than it would run on without.
    await new Promise(resolve => setTimeout(resolve, 1_500))
    upload.write('yz')
    expect((await upload.end()).body).toEqual({ have: 3, stop: false })
    await streams.runner.report([streamed(job, { bytes: 3 })])
    const again = await streams.resume(job.id)
    expect([await again.ended, again.text()]).toEqual([true, 'xyz'])
  })

  test('behavior: after the end it does nothing', async () => {
    const { id } = await streams.say('abc')
    const again = await streams.resume(id)
    again.leave()
    expect(await state(id)).toBe('success')
  })
})

describe('an owner cancels', () => {
  test('behavior: a running one', async () => {
    const { client, job, upload } = await streams.begin({ headers: asEvents })
    await untilStored(job.id)
    const orders = waitForOrders([job])
    const response = await streams.edge.request(`/api/jobs/${job.id}`, { method: 'DELETE' })
    expect(response.status).toBe(200)
    expect(await lastEvent(client)).toMatchObject({
      event: 'error',
      id: 'end',
      data: { code: 'cancelled', job: { id: job.id, state: 'cancelled' } },
    })
    expect((await orders).cancel).toEqual([{ id: job.id, attempt: job.attempt }])
    upload.write('y')
    expect((await upload.answer).status).toBe(409)
    expect(await streams.result(job.id)).toMatchObject({ result: { output: { output: 'x' } } })
  })

  test.for([
    ['bytes that are no text', 'f0f1f2fe', { output: '8PHy/g==', encoding: 'base64' }],
    ['text that ends within a character', '78e282', { output: 'x\ufffd' }],
  ] as const)('behavior: of a running one there is %s', async ([, hex, output]) => {
    await streams.ask()
    const job = await streams.claim()
    const upload = await streams.upload(job)
    upload.write(Buffer.from(hex, 'hex'))
    await untilStored(job.id)
    await streams.edge.request(`/api/jobs/${job.id}`, { method: 'DELETE' })
    expect(await streams.result(job.id)).toMatchObject({ result: { output } })
    upload.destroy()
  })

  test('behavior: one that waits', async () => {
    const client = await streams.ask({}, { headers: asEvents })
    await client.until(text => text.includes('start'))
    const id = String(eventsOf(client.text())[0]?.data.id)
    await streams.edge.request(`/api/jobs/${id}`, { method: 'DELETE' })
    expect(await lastEvent(client)).toMatchObject({ event: 'error', data: { code: 'cancelled' } })
  })
})

describe('a lease lapses', () => {
  test('behavior: with bytes out the job has failed, and is not given out again', async () => {
    const { client, job } = await streams.begin({ headers: asEvents })
    const plain = await streams.resume(job.id)
    await plain.untilSize(1)
    await lapse(job.id)
    expect(await lastEvent(client)).toMatchObject({
      event: 'error',
      id: 'end',
      data: { code: 'lease_lost', job: { state: 'failed' } },
    })
    expect([await plain.ended, plain.text()]).toEqual([true, 'x'])
    expect(await streams.runner.claim()).toEqual([])
    expect(await streams.read(job.id)).toMatchObject({ state: 'failed', error: { code: 'lease_lost' } })
  })

  test('behavior: with bytes out that are not stored yet as well', async () => {
    const { client, job, upload } = await streams.begin({ headers: asEvents })
    await lapse(job.id)
    upload.write('y')
    expect(await lastEvent(client)).toMatchObject({ event: 'error', data: { code: 'lease_lost' } })
    expect((await upload.answer).status).toBe(409)
    expect(await streams.runner.claim()).toEqual([])
  })

  test('behavior: before any byte it is given out again, and the bytes of the second attempt come', async () => {
    const client = await streams.ask()
    const first = await streams.claim()
    const lost = await streams.upload(first)
    await untilQuiet(first.id)
    await lapse(first.id)
    const second = await streams.claim()
    expect(second).toMatchObject({ id: first.id, attempt: 2 })
    lost.write('of the first')
    const upload = await streams.upload(second)
    upload.write('second')
    await client.untilSize(idLength + 6)
    expect((await lost.answer).status).toBe(409)
    await upload.end()
    expect(await streams.runner.report([streamed(first, { bytes: 12 })])).toMatchObject([{ answer: 'stale' }])
    await streams.runner.report([streamed(second, { bytes: 6 })])
    expect(await client.ended).toBe(true)
    expect(client.text()).toBe(`${first.id}\nsecond`)
  })

  test('behavior: bytes that come while it waits again take the lease up, so that nobody else gets it', async () => {
    const client = await streams.ask()
    const job = await streams.claim()
    const upload = await streams.upload(job)
    await untilQuiet(job.id)
    await lapse(job.id)
    expect(await state(job.id)).toBe('queued')
    upload.write('late')
    await client.untilSize(idLength + 4)
    expect(await state(job.id)).toBe('running')
    const { runner } = streams
    expect(await runner.claim({ holding: [{ id: job.id, attempt: 1 }] })).toEqual([])
    await upload.end()
    expect(await runner.report([streamed(job, { bytes: 4 })])).toMatchObject([{ answer: 'accepted' }])
    expect([await client.ended, client.text()]).toEqual([true, `${job.id}\nlate`])
  })
})

describe('no runner takes it', () => {
  test('behavior: it expires on time, not when the sweep comes', async () => {
    const began = performance.now()
    const client = await streams.ask({ expires_in: 1 }, { headers: asEvents })
    expect(await lastEvent(client)).toMatchObject({
      event: 'error',
      id: 'end',
      data: { code: 'expired', job: { state: 'expired' } },
    })
    const ms = performance.now() - began
    expect(ms).toBeGreaterThanOrEqual(1_000)
    expect(ms).toBeLessThan(2_500)
    expect(await streams.runner.claim()).toEqual([])
  })

  test('behavior: one that was taken in time does not', async () => {
    const client = await streams.ask({ expires_in: 3 }, { headers: asEvents })
    const job = await streams.claim()
    const upload = await streams.upload(job)
    await new Promise(resolve => setTimeout(resolve, 3_300))
    upload.write('late')
    await client.until(text => text.includes('late'))
    await upload.end()
    await streams.runner.report([streamed(job, { bytes: 4 })])
    expect(await lastEvent(client)).toMatchObject({ event: 'completed' })
  })
})

describe('a container fails', () => {
  const error = { code: 'container_failed', error: 'It fell over.' }

  test('behavior: in the middle: what came is kept beside the reason', async () => {
    const { client, job, upload } = await streams.begin({ headers: asEvents, first: 'so far' })
    const plain = await streams.resume(job.id)
    await plain.untilSize(6)
    await upload.end()
    await streams.runner.report([streamed(job, { bytes: 6, error })])
    expect(await lastEvent(client)).toMatchObject({
      event: 'error',
      id: 'end',
      data: { code: 'container_failed', error: 'It fell over.', job: { state: 'failed' } },
    })
    expect([await plain.ended, plain.text()]).toEqual([true, 'so far'])
    expect(await streams.result(job.id)).toEqual({
      id: job.id,
      status: 'failed',
      result: { container: 'echo', ...error, output: { output: 'so far' } },
    })
  })

  test('behavior: at once', async () => {
    const client = await streams.ask({}, { headers: asEvents })
    const job = await streams.claim()
    await streams.runner.report([{ ...streamed(job, { bytes: 0, error }), stream: null }])
    expect(await lastEvent(client)).toMatchObject({ event: 'error', data: { code: 'container_failed' } })
    expect(await streams.result(job.id)).toMatchObject({ result: { container: 'echo', ...error } })
  })
})

describe('a runner lies', () => {
  test('behavior: of bytes that it has not uploaded its report is not taken', async () => {
    const { client, job, upload } = await streams.begin()
    await upload.end()
    expect(await streams.runner.report([streamed(job, { bytes: 9 })])).toMatchObject([{ answer: 'stale' }])
    expect(await state(job.id)).toBe('running')
    client.leave()
  })

  test('behavior: of fewer, what is out stays', async () => {
    const { client, job, upload } = await streams.begin({ first: 'abc' })
    await upload.end()
    await streams.runner.report([streamed(job, { bytes: 1 })])
    expect([await client.ended, client.text()]).toEqual([true, `${job.id}\nabc`])
    expect(await streams.read(job.id)).toMatchObject({ stream: { bytes: 3, truncated: false } })
  })

  test('behavior: another attempt, another job, another runner, offsets that there are not', async () => {
    const { client, job, upload } = await streams.begin()
    await untilStored(job.id)
    for (const lease of [
      { ...job, attempt: 2 },
      { ...job, id: crypto.randomUUID() },
    ])
      expect((await (await streams.upload(lease)).end()).status).toBe(409)
    const beyond = await streams.upload(job, 1_000)
    beyond.write('far')
    expect(await beyond.answer).toEqual({ status: 200, body: { have: 1, stop: false } })
    expect((await upload.answer).body).toMatchObject({ have: 1 })
    const again = await streams.upload(job)
    again.write('other')
    await client.untilSize(idLength + 5)
    expect(client.text().slice(idLength)).toBe('xther')
    const url = `/runner/jobs/${job.id}/stream?attempt=1&from=`
    for (const from of ['', '-1', 'x', '1e3', '9'.repeat(16)])
      expect((await streams.runner.send(url + from, { method: 'PUT', body: 'x' })).status).toBe(400)
    client.leave()
  })
})
