import { createHash, randomBytes } from 'node:crypto'
import { rename, rm, writeFile } from 'node:fs/promises'
import type { ServerResponse } from 'node:http'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Bounds } from '../../src/runner/stream/bounds.ts'
import { refusal } from './fake-edge.ts'
import type { StreamFault } from './fake-streams.ts'
import { type Handler, json } from './serve.ts'
import { emptied, eventually, setup } from './setup.ts'

const mib = 1024 * 1024

/** A runner with a container that streams, and a way to give it jobs. */
async function start(handler: Handler, { bounds = {}, container = {}, config = {} }: StartOptions = {}) {
  const { edge, embed, container: serve, directory, logged } = await setup()
  const served = await serve(handler)
  const entry = { id: 'one', url: served.url, slots: 8, ...container }
  const runner = await embed({ containers: [entry], drain_timeout: 1, ...config }, { bounds })
  await runner.ready
  const enqueue = (job: object = {}) =>
    edge.enqueue({ containers: ['one'], data: '{"a": 1.0}', destination: 2, ...job })
  const streams = join(directory, '.infernet-runner', 'streams')
  return {
    edge,
    served,
    runner,
    enqueue,
    logged,
    /** A file in place of the directory of all streams. */
    async breakDisk(): Promise<void> {
      await rename(streams, `${streams}.away`)
      await writeFile(streams, '')
    },
    async mendDisk(): Promise<void> {
      await rm(streams)
      await rename(`${streams}.away`, streams)
    },
    /** Runs one job to its end. */
    async run(job: object = {}) {
      const { id } = enqueue(job)
      const report = await edge.reported(id)
      const { status, error_code, resultText, intermediateText, stream, answer } = report
      await emptied(streams)
      return { id, status, error_code, resultText, intermediateText, stream, answer }
    },
    output: (id: string) => edge.streams.bytes(id).toString(),
  }
}

type StartOptions = { bounds?: Partial<Bounds>; container?: object; config?: object }

const open = (response: ServerResponse) => response.writeHead(200, { 'content-type': 'text/event-stream' })

describe('call', () => {
  test('default: the bytes go through verbatim, and the report says how many', async () => {
    const { run, served, output } = await start((_, response) => void open(response).end('data: é\n\n'))
    const { id, ...report } = await run()
    expect(report).toEqual({
      status: 'success',
      error_code: null,
      resultText: '{"container":"one"}',
      intermediateText: null,
      stream: { bytes: 10, utf8: true },
      answer: 'accepted',
    })
    expect(output(id)).toBe('data: é\n\n')
    expect(served.calls.map(({ method, url, body }) => `${method} ${url} ${body}`)).toEqual([
      'POST /service_output {"source": 1, "destination": 2, "data": {"a": 1.0}}',
    ])
  })

  test.each([1, 2])(
    'behavior: an OpenAI job is posted as it is, to the path of that protocol: destination %i',
    async destination => {
      const { run, served, output } = await start((_, response) => json(response, '{"choices":[]}'))
      const data = '{"messages": [], "temperature": 1.0}'
      const { id, status, resultText } = await run({ endpoint: 'openai', destination, data })
      expect(status).toBe('success')
      expect(served.calls.map(({ url, body }) => `${url} ${body}`)).toEqual([`/v1/chat/completions ${data}`])
      const whole = '{"container":"one","output":{"choices":[]}}'
      expect(resultText).toBe(destination === 1 ? whole : '{"container":"one"}')
      expect(output(id)).toBe(destination === 1 ? '' : '{"choices":[]}')
    },
  )

  test('behavior: no output is a success too', async () => {
    const { run } = await start((_, response) => void open(response).end())
    expect(await run()).toMatchObject({ status: 'success', stream: { bytes: 0, utf8: true } })
  })

  test.each([
    ['a whole one, in pieces', Buffer.from('aé€😀'), true],
    ['one that is cut off', Buffer.from('aé€😀').subarray(0, -1), false],
    ['bytes that are none', Buffer.from([0x61, 0xc0, 0x80]), false],
    ['a lone continuation', Buffer.from([0x80]), false],
  ])('behavior: whether it is UTF-8 is told: %s', async (_, bytes, utf8) => {
    const { run } = await start(async (_call, response) => {
      open(response)
      for (const byte of bytes) {
        await new Promise(resolve => response.write(Buffer.of(byte), resolve))
        await new Promise(resolve => setImmediate(resolve))
      }
      response.end()
    })
    expect(await run()).toMatchObject({ status: 'success', stream: { bytes: bytes.length, utf8 } })
  })

  const failures: [string, Handler, StartOptions & { job?: object }, object][] = [
    [
      'a status of 400 and up',
      (_, r) => json(r, '{"no":1}', 503),
      {},
      { error_code: 'http_error', stream: { bytes: 0, utf8: true } },
    ],
    [
      'a connection that breaks before there is output',
      (_, r) => void r.socket?.destroy(),
      {},
      { error_code: 'connection_lost', stream: { bytes: 0, utf8: true } },
    ],
    [
      'a redirect to elsewhere',
      (_, r) => void r.writeHead(307, { location: 'http://127.0.0.1:1/' }).end(),
      {},
      { error_code: 'redirect_refused', stream: { bytes: 0, utf8: true } },
    ],
    [
      'no first byte in time',
      (_, r) => void open(r).flushHeaders(),
      { container: { timeout: 0.2 } },
      { error_code: 'timeout', stream: { bytes: 0, utf8: true } },
    ],
    [
      'a container that dies in the middle',
      (_, r) => void open(r).write('half', () => setTimeout(() => r.socket?.destroy(), 50)),
      {},
      { error_code: 'connection_lost', stream: { bytes: 4, utf8: true } },
    ],
    [
      'silence between two bytes',
      (_, r) => void open(r).write('half'),
      { bounds: { idleMs: 200 } },
      { error_code: 'idle', stream: { bytes: 4, utf8: true } },
    ],
    [
      "the end of the job's own time",
      (_, r) => void open(r).write('half'),
      { job: { timeout_ms: 1_000 } },
      { error_code: 'timeout', stream: { bytes: 4, utf8: true } },
    ],
  ]

  test.each(failures)(
    'behavior: fails, with what there was: %s',
    async (_, handler, { job, ...options }, told) => {
      const { run, output } = await start(handler, options)
      const { id, ...report } = await run(job)
      expect(report).toMatchObject({ status: 'failed', answer: 'accepted', ...told })
      expect(JSON.parse(report.resultText)).toMatchObject({ code: report.error_code })
      expect(output(id).length).toBe(report.stream?.bytes)
    },
  )

  test('behavior: a status of 400 and up is output where the configuration says so', async () => {
    const { run, output } = await start((_, response) => json(response, '{}', 503), {
      container: { http_errors: 'success' },
    })
    const { id, status } = await run()
    expect({ status, output: output(id) }).toEqual({ status: 'success', output: '{}' })
  })
})

describe('live', () => {
  test('default: the edge hears of a job before there is output, and of each byte at once, in order', async () => {
    let response: ServerResponse | undefined
    const { edge, enqueue, output } = await start((_, given) => {
      response = open(given)
    })
    const { id } = enqueue()
    await edge.until(() => edge.streams.of(id).uploads.length === 1)
    await eventually(() => response !== undefined)
    for (let count = 1; count <= 5; count++) {
      response?.write(String(count))
      // Each is there before the next one is sent.
      await edge.until(() => edge.streams.of(id).have === count)
    }
    response?.end()
    expect(await edge.reported(id)).toMatchObject({ stream: { bytes: 5 } })
    expect(output(id)).toBe('12345')
    expect(edge.streams.of(id).uploads).toEqual([{ from: 0, bytes: 5, ended: true, ask: false }])
  })

  test('behavior: small pieces that come fast go out together', async () => {
    const { run, edge } = await start(async (_, response) => {
      open(response)
      for (let count = 0; count < 2_000; count++) {
        response.write('0123456789')
        await new Promise(resolve => setImmediate(resolve))
      }
      response.end()
    })
    const { id, stream } = await run()
    expect(stream).toEqual({ bytes: 20_000, utf8: true })
    expect(edge.streams.of(id).chunks.length).toBeLessThan(500)
  })

  test('behavior: a body ends after so many bytes, and the next one goes on there', async () => {
    const bytes = randomBytes(100_000)
    const { run, edge } = await start((_, response) => void open(response).end(bytes), {
      bounds: { partBytes: 30_000 },
    })
    const { id } = await run()
    expect(edge.streams.bytes(id).equals(bytes)).toBe(true)
    expect(edge.streams.of(id).uploads.map(({ from }) => from)).toEqual([0, 30_000, 60_000, 90_000])
  })

  test('behavior: a body ends after as long as the configuration says', async () => {
    let response: ServerResponse | undefined
    const { edge, enqueue } = await start(
      (_, given) => {
        response = open(given)
        given.write('abc')
      },
      { config: { stream_part: 0.1 } },
    )
    const { id } = enqueue()
    const { uploads } = edge.streams.of(id)
    await edge.until(() => uploads.some(({ from, ended }) => from === 3 && ended))
    expect(uploads[0]).toMatchObject({ from: 0, bytes: 3, ended: true })
    response?.end()
    expect(await edge.reported(id)).toMatchObject({ stream: { bytes: 3 } })
  })

  test('behavior: a body ends after so long, and the next one goes on there, also without a byte', async () => {
    let response: ServerResponse | undefined
    const { edge, enqueue } = await start(
      (_, given) => {
        response = open(given)
      },
      { bounds: { partMs: 100 } },
    )
    const { id } = enqueue()
    const { uploads } = edge.streams.of(id)
    await edge.until(() => uploads.length >= 3)
    response?.write('abc')
    await edge.until(() => uploads.at(-1)?.from === 3)
    response?.end('d')
    expect(await edge.reported(id)).toMatchObject({ stream: { bytes: 4 } })
    expect(uploads.every(({ ask }) => !ask)).toBe(true)
  })
})

describe('end', () => {
  test('behavior: `stop` ends the call of the container', async () => {
    const { edge, enqueue, served, logged } = await start((_, response) => void open(response).write('abc'))
    edge.streams.state.fault = () => ({ after: 3, do: 'stop' })
    edge.state.answer = 'stale'
    const { id } = enqueue()
    await eventually(() => served.calls.length === 1)
    await served.calls[0]?.aborted
    expect(await edge.reported(id)).toMatchObject({ status: 'failed', error_code: 'cancelled' })
    expect(logged).toContainEqual(expect.objectContaining({ event: 'Job cancelled' }))
  })

  test('behavior: 409 says that the lease is lost: the call ends, and there is nothing to report', async () => {
    const { edge, enqueue, served, logged } = await start((_, response) => void open(response).write('abc'))
    edge.streams.state.fault = () => ({ after: 3, do: 409 })
    const { id } = enqueue()
    await eventually(() => served.calls.length === 1)
    await served.calls[0]?.aborted
    await eventually(() => logged.some(({ event }) => event === 'A result came too late'))
    expect(logged).toContainEqual(expect.objectContaining({ event: 'Job lost' }))
    expect(edge.reports.some(report => report.id === id)).toBe(false)
  })

  test('behavior: a job that is cancelled takes its call and its upload along', async () => {
    const { edge, enqueue, served } = await start((_, response) => void open(response).write('abc'))
    const { id } = enqueue()
    await edge.until(() => edge.streams.of(id).have === 3)
    edge.cancel(id)
    await served.calls[0]?.aborted
    expect(await edge.reported(id)).toMatchObject({ error_code: 'cancelled', answer: 'stale' })
    expect(edge.streams.of(id).uploads).toEqual([{ from: 0, bytes: 3, ended: false, ask: false }])
  })

  test('behavior: a drain waits for streams, and cuts off one that goes on for too long', async () => {
    const responses: ServerResponse[] = []
    const { edge, enqueue, runner } = await start((_, response) => {
      responses.push(open(response))
      response.write('abc')
    })
    const [short, long] = [enqueue(), enqueue()]
    await edge.until(() => [short, long].every(({ id }) => edge.streams.of(id).have === 3))
    const drained = runner.drain()
    responses[0]?.end('d')
    await drained
    const reports = await Promise.all([short, long].map(({ id }) => edge.reported(id)))
    expect(reports.map(({ status, error_code, stream }) => ({ status, error_code, stream }))).toEqual(
      expect.arrayContaining([
        { status: 'success', error_code: null, stream: { bytes: 4, utf8: true } },
        { status: 'failed', error_code: 'runner_stopped', stream: { bytes: 3, utf8: true } },
      ]),
    )
  })
})

describe('trouble', () => {
  test.each<[string, StreamFault]>([
    ['the connection breaks', { after: 40_000, do: 'drop' }],
    ['an answer comes early', { after: 40_000, do: 'answer' }],
    ['an answer is lost', { after: 0, do: 'mute' }],
    ['500', { after: 10, do: 500 }],
    ['a proxy says 404', { after: 0, do: 404 }],
  ])('behavior: goes on from where the edge is when %s', async (_, fault) => {
    const bytes = randomBytes(300_000)
    const { run, edge } = await start((_call, response) => void open(response).end(bytes))
    let faults = 2
    edge.streams.state.fault = ({ ask }) => (!ask && faults-- > 0 ? fault : undefined)
    const { id, status } = await run()
    expect(status).toBe('success')
    expect(edge.streams.bytes(id).equals(bytes)).toBe(true)
  })

  test('behavior: an edge that is behind, and keeps what it has had stored only, is sent it again', async () => {
    const bytes = randomBytes(200_000)
    const { run, edge } = await start((_call, response) => void open(response).end(bytes))
    let lost = false
    edge.streams.state.fault = ({ id, from, ask }) => {
      const stream = edge.streams.of(id)
      if (ask && !lost) {
        lost = true
        edge.streams.forget(id, 50_000)
      }
      return ask || from > 0 || stream.uploads.length > 1 ? undefined : { after: 150_000, do: 'drop' }
    }
    const { id } = await run()
    expect(lost).toBe(true)
    expect(edge.streams.bytes(id).equals(bytes)).toBe(true)
  })

  test('behavior: a disk that fails holds up a stream, before its output and in the middle of it', async () => {
    let response: ServerResponse | undefined
    const { edge, enqueue, served, breakDisk, mendDisk, logged, output } = await start(
      (_, given) => {
        response = open(given)
        given.write('1234')
      },
      { bounds: { segmentBytes: 4 } },
    )
    const failures = () =>
      logged.filter(({ event }) => event.startsWith('Writing to the spool failed')).length
    await breakDisk()
    const { id } = enqueue()
    await eventually(() => failures() > 0)
    expect(edge.streams.of(id).have).toBe(0)
    await mendDisk()
    await edge.until(() => edge.streams.of(id).have === 4)
    await eventually(() => logged.some(({ event }) => event === 'Writing to the spool works again'))
    const before = failures()
    await breakDisk()
    response?.write('5678')
    await eventually(() => failures() > before)
    await mendDisk()
    response?.end('9')
    const report = await edge.reported(id)
    expect(report).toMatchObject({ attempt: 1, status: 'success', stream: { bytes: 9, utf8: true } })
    expect(output(id)).toBe('123456789')
    expect(served.calls.length).toBe(1)
  })

  test.each([
    ['gone for good', 409, 'input_unavailable', 1],
    ['away for a moment', 503, null, 2],
  ])('behavior: an input that is %s', async (_, status, code, asked) => {
    const { edge, run } = await start((_call, response) => void open(response).end('abc'))
    let asks = 0
    edge.state.fault = path => {
      if (!path.endsWith('/input')) return undefined
      return ++asks > 1 ? undefined : status === 409 ? refusal('conflict') : { status }
    }
    const { error_code, stream } = await run({ data: JSON.stringify('x'.repeat(200_000)) })
    expect({ error_code, asks, bytes: stream?.bytes }).toEqual({
      error_code: code,
      asks: asked,
      bytes: code === null ? 3 : 0,
    })
  })

  test('behavior: a reader that stands still holds up the container, and its silence is not counted', async () => {
    const total = 16 * mib
    const hash = createHash('sha256')
    let written = 0
    const { edge, enqueue } = await start(
      async (_, response) => {
        open(response)
        const chunk = randomBytes(mib)
        for (; written < total; written += chunk.length) {
          hash.update(chunk)
          if (!response.write(chunk)) await new Promise(resolve => response.once('drain', resolve))
        }
        response.end()
      },
      { bounds: { aheadBytes: mib, idleMs: 1_000 } },
    )
    let opened = false
    edge.streams.state.gate = async () => await eventually(() => opened)
    const { id } = enqueue()
    // As long as it moves, and then for longer than silence may last.
    for (let before = -1, still = 0; still < 15; before = written) {
      await new Promise(resolve => setTimeout(resolve, 100))
      still = before === written ? still + 1 : 0
    }
    expect(written).toBeLessThan(total)
    opened = true
    expect(await edge.reported(id)).toMatchObject({ status: 'success', stream: { bytes: total } })
    expect(edge.streams.digest(id)).toBe(hash.digest('hex'))
  })
})
