import { existsSync, readFileSync } from 'node:fs'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { ClaimedJob } from '../../src/protocol/runner.ts'
import { host } from '../support/hosts.ts'
import { askHave, eventsOf, openUpload, streamed, type TestReader } from '../support/stream.ts'
import { asEvents, idLength, type Streams, startStreams } from '../support/streams.ts'

const mebibyte = 1024 * 1024
const cap = mebibyte

let streams: Streams

beforeAll(async () => {
  streams = await startStreams({ vars: { STREAM_STORED_MIB: '1' } })
})
afterAll(async () => {
  await streams[Symbol.asyncDispose]()
})
beforeEach(async () => {
  await streams.edge.db.orm.run('delete from jobs')
  await streams.edge.db.orm.run('delete from parts')
})

async function refused(reader: TestReader): Promise<unknown> {
  await reader.ended
  return { status: reader.status, ...(JSON.parse(reader.text()) as object) }
}

const gone = {
  status: 410,
  code: 'output_gone',
  error: 'The output from here on is not kept, and has passed',
  params: {},
}

/** In parts, as a runner does it, from an offset on. */
async function pourAll(job: ClaimedJob, { from, bytes }: { from: number; bytes: number }): Promise<void> {
  for (let have = from; have < bytes; ) {
    const upload = await streams.upload(job, have)
    await upload.pour(Math.min(bytes - have, 16 * mebibyte)).done
    const { status, body } = await upload.end()
    if (status !== 200) throw new Error(`Answered ${status}`)
    have = body.have
  }
}

describe('beyond what is stored', () => {
  test('default: who reads gets all of it; who comes later, what is kept', async () => {
    const { client, job, upload } = await streams.begin()
    const other = await streams.resume(job.id, { headers: asEvents })
    await upload.end()
    const bytes = 5 * mebibyte
    await pourAll(job, { from: 1, bytes })
    const running = await streams.resume(job.id, { query: `?from=${2 * mebibyte}` })
    expect(await refused(running)).toEqual(gone)
    const late = await streams.resume(job.id, { headers: asEvents })
    await late.ended
    expect(eventsOf(late.text()).at(-1)).toEqual({
      event: 'error',
      id: null,
      data: { code: 'output_gone', error: gone.error, job: null },
    })
    expect(await streams.runner.report([streamed(job, { bytes })])).toMatchObject([{ answer: 'accepted' }])
    expect([await client.ended, client.bytes().byteLength]).toEqual([true, bytes + idLength])
    await other.ended
    const events = eventsOf(other.text())
    expect(events.map(({ data }) => String(data.text ?? '').length).reduce((a, b) => a + b)).toBe(bytes)
    expect(events.at(-1)).toMatchObject({
      event: 'completed',
      data: { state: 'success', stream: { bytes, truncated: true } },
    })
    expect(await streams.read(job.id)).toMatchObject({ stream: { bytes, truncated: true } })
    expect(await refused(await streams.resume(job.id, { query: `?from=${cap + 1}` }))).toEqual(gone)
    const result = await streams.result(job.id)
    expect(result).toMatchObject({ status: 'success', result: { container: 'echo' } })
    const kept = await streams.resume(job.id)
    // What is missing breaks it off: a clean end would be taken for the whole.
    expect(await kept.ended).toBe(false)
    expect(kept.size()).toBeLessThanOrEqual(cap)
  })

  test('behavior: a slow one among fast ones gets all of it as well', async () => {
    const { client, job, upload } = await streams.begin()
    const slow = await streams.resume(job.id, { paused: true, counted: true })
    await upload.end()
    const bytes = 24 * mebibyte
    const poured = pourAll(job, { from: 1, bytes })
    await client.untilSize(cap)
    slow.resume()
    await poured
    await streams.runner.report([streamed(job, { bytes })])
    expect(await Promise.all([client.ended, slow.ended])).toEqual([true, true])
    expect([client.size(), slow.size()]).toEqual([bytes + idLength, bytes])
  })
})

test.runIf(host !== 'workerd')(
  'behavior: where all is one process, no reader that may have been lost holds up what nobody reads',
  async () => {
    const client = await streams.ask({ detach: true })
    const job = await streams.claim()
    client.leave()
    // As after an earlier upload, between which and this one the process keeps no relay for nobody.
    await streams.edge.db.orm.run(`update jobs set stream_bytes = ${cap} where id = '${job.id}'`)
    const beganAt = performance.now()
    await pourAll(job, { from: cap, bytes: 3 * cap })
    expect(performance.now() - beganAt).toBeLessThan(10_000)
  },
)

describe('back-pressure', () => {
  test('behavior: a client that never reads stops the upload', async () => {
    const client = await streams.ask({}, { paused: true })
    const job = await streams.claim()
    const upload = await streams.upload(job)
    const poured = upload.pour(64 * mebibyte)
    let before = -1
    await expect
      .poll(
        () => {
          const isStill = poured.sent() === before
          before = poured.sent()
          return isStill && before > 0
        },
        { interval: 1_000, timeout: 20_000 },
      )
      .toBe(true)
    // What both connections' sockets hold, some 10 MiB, and the relay's window.
    expect(poured.sent()).toBeLessThan(28 * mebibyte)
    client.leave()
    expect((await upload.answer).body).toMatchObject({ stop: true })
  })

  test('behavior: a body is taken up to 32 MiB, and answered', async () => {
    const { client, job, upload } = await streams.begin()
    const poured = upload.pour(40 * mebibyte)
    // A host that answers before the end may break the connection before its answer is read.
    const answer = await upload.answer.catch(() => null)
    if (answer) expect(answer).toEqual({ status: 200, body: { have: 32 * mebibyte, stop: false } })
    upload.destroy()
    await poured.done
    expect(await askHave(streams.runner, streams.edge, job)).toEqual({ have: 32 * mebibyte, stop: false })
    const announced = await openUpload(streams.runner, streams.edge, {
      ...job,
      from: 0,
      headers: { 'content-length': 32 * mebibyte + 1 },
    })
    expect((await announced.answer).status).toBe(413)
    announced.destroy()
    client.leave()
  })

  test.runIf(existsSync('/proc/self/status'))(
    'behavior: memory does not grow with the length of a stream that is read slowly',
    { timeout: 120_000 },
    async () => {
      const client = await streams.ask({}, { counted: true })
      const job = await streams.claim()
      slowDown(client)
      // Peak against peak: at any one moment a collection may just have been.
      const first = await peakOf(() => pourAll(job, { from: 0, bytes: 96 * mebibyte }))
      const rest = await peakOf(() => pourAll(job, { from: 96 * mebibyte, bytes: 224 * mebibyte }))
      await streams.runner.report([streamed(job, { bytes: 224 * mebibyte })])
      expect(await client.ended).toBe(true)
      expect(client.size()).toBe(224 * mebibyte + idLength)
      expect(rest - first).toBeLessThan(32 * mebibyte)
    },
  )
})

/** Some 100 MiB/s. */
function slowDown(client: TestReader): void {
  let read = 0
  const look = setInterval(() => {
    if (client.size() - read < 512 * 1024) return
    read = client.size()
    client.pause()
    setTimeout(() => client.resume(), 5)
  }, 1)
  void client.ended.then(() => clearInterval(look))
}

/** The most resident memory of the edge's process meanwhile. */
async function peakOf(work: () => Promise<void>): Promise<number> {
  let most = rss()
  const watch = setInterval(() => {
    most = Math.max(most, rss())
  }, 10)
  try {
    await work()
    return most
  } finally {
    clearInterval(watch)
  }
}

function rss(): number {
  const [, kibibytes = 0] =
    /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${streams.edge.pid}/status`, 'utf8')) ?? []
  return Number(kibibytes) * 1024
}
