import { mkdtemp, readdir, rm } from 'node:fs/promises'
import type { ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { Agent } from 'undici'
import { describe, expect, onTestFinished, test } from 'vitest'
import { limits } from '../../src/protocol/limits.ts'
import { parseConfig } from '../../src/runner/config/load.ts'
import { type Change, createContainers } from '../../src/runner/containers.ts'
import { runJob } from '../../src/runner/job/run.ts'
import { createScratchSpace } from '../../src/runner/job/scratch.ts'
import { textOf } from '../../src/runner/rope.ts'
import { createSlots } from '../../src/runner/slots.ts'
import { refusal } from './fake-edge.ts'
import { dataOf, echo, type Handler, json, serve } from './serve.ts'
import { setup } from './setup.ts'

/** Calls a container as a job does, without an edge. */
async function runDirect(
  handler: Handler,
  {
    data = '{}',
    container = {},
    job = {},
    change = { health: 'ready' },
  }: { data?: string; container?: object; job?: object; change?: Change } = {},
) {
  const served = await serve(handler)
  const agent = new Agent()
  const directory = await mkdtemp(join(tmpdir(), 'infernet-job-'))
  onTestFinished(async () => {
    served.close()
    await agent.destroy()
    await rm(directory, { recursive: true })
  })
  const entry = { id: 'one', url: served.url, ...container }
  const source = JSON.stringify({ edge: { url: 'http://edge', key_file: 'key' }, containers: [entry] })
  const { config } = parseConfig(source, { path: 'config.json', env: {} })
  const containers = createContainers(config.containers)
  containers.change('one', change)
  const scratchSpace = createScratchSpace({
    directory,
    memoryBytes: 1024 * 1024,
    maxBytes: limits.resultBytes,
  })
  const unreachable: string[] = []
  const outcome = await runJob({
    job: {
      id: '01900000-0000-7000-8000-000000000000',
      attempt: 1,
      containers: ['one'],
      source: 1,
      destination: 1,
      requires_proof: false,
      timeout_ms: null,
      data,
      endpoint: null,
      data_bytes: Buffer.byteLength(data),
      ...job,
    },
    containers,
    slots: createSlots(containers),
    agent,
    edge: {
      send: () => Promise.reject(new Error('not needed')),
      pour: () => Promise.reject(new Error('not needed')),
      heard: () => null,
      roundTripMs: () => 0,
      close: async () => {},
    },
    scratch: scratchSpace.forJob(),
    controller: new AbortController(),
    onStart: () => {},
    onUnreachable: ({ config: { id } }) => void unreachable.push(id),
    onLate() {},
    onAnswered() {},
  })
  const left = { files: await readdir(directory), bytes: scratchSpace.bytes() }
  return {
    served,
    left,
    unreachable,
    code: outcome.failure?.code ?? null,
    result: textOf(outcome.result) ?? '',
  }
}

/** In place of a response: bytes, and the end of the connection. */
function raw(response: ServerResponse, bytes: string): void {
  response.socket?.end(bytes)
}

describe('request', () => {
  test('default: keys in the order, types and spacing of the reference', async () => {
    const { served, code, result } = await runDirect(echo, {
      data: '{"a": 1.0}',
      job: { requires_proof: true },
    })
    const [call] = served.calls
    expect(`${call?.method} ${call?.url}`).toBe('POST /service_output')
    expect(call?.headers['content-type']).toBe('application/json')
    expect(call?.headers.authorization).toBeUndefined()
    expect(call?.body.toString()).toBe(
      '{"source": 1, "destination": 1, "data": {"a": 1.0}, "requires_proof": true}',
    )
    expect(code).toBeNull()
    expect(result).toBe('{"container":"one","output":{"a": 1.0}}')
  })

  test('behavior: on-chain data is a string of hex, and the bearer is sent', async () => {
    const { served } = await runDirect(echo, {
      data: '"00ff"',
      container: { bearer: 'secret' },
      job: { source: 0, destination: 0 },
    })
    expect(served.calls[0]?.headers.authorization).toBe('Bearer secret')
    expect(served.calls[0]?.body.toString()).toBe(
      '{"source": 0, "destination": 0, "data": "00ff", "requires_proof": false}',
    )
  })

  test('behavior: a stream job has no requires_proof', async () => {
    const { served } = await runDirect((_, response) => json(response, '1'), { job: { destination: 2 } })
    expect(served.calls[0]?.body.toString()).toBe('{"source": 1, "destination": 2, "data": {}}')
  })

  test('behavior: any JSON text goes in and comes out byte for byte', async () => {
    const { edge, embed, container } = await setup()
    const served = await container(echo)
    await embed({ containers: [{ id: 'one', url: served.url, slots: 8 }] })
    const number = fc.oneof(
      fc.bigInt().map(String),
      fc.constantFrom('1.0', '-0', '1e400', '0.1000000000000000055511151231257827'),
    )
    const whitespace = fc.constantFrom('', ' ', '\n\t')
    const text = fc.letrec(tie => ({
      value: fc.oneof(
        { maxDepth: 4 },
        number,
        fc.string({ unit: 'grapheme' }).map(s => JSON.stringify(s)),
        tie('list'),
        tie('object'),
      ),
      list: fc
        .tuple(whitespace, fc.array(tie('value'), { maxLength: 4 }))
        .map(([gap, items]) => `[${items.join(`${gap},`)}]`),
      object: fc
        .array(fc.tuple(fc.constantFrom('"a"', '"a"', '"10"', '"2"', '"\\u0061"'), tie('value')), {
          maxLength: 4,
        })
        .map(pairs => `{${pairs.map(([key, value]) => `${key}: ${value}`).join(', ')}}`),
    })).value as fc.Arbitrary<string>
    await fc.assert(
      fc.asyncProperty(text, async data => {
        const { id } = edge.enqueue({ containers: ['one'], data })
        expect((await edge.reported(id)).resultText).toBe(`{"container":"one","output":${data}}`)
      }),
      { numRuns: 100 },
    )
  })

  test('behavior: 302 becomes a GET without a body, 307 repeats the request, both with the bearer', async () => {
    const { edge, embed, container } = await setup()
    const served = await container(({ url }, response) => {
      if (url === '/there') return json(response, '"there"')
      response.writeHead(url.startsWith('/a') ? 302 : 307, { location: '/there' }).end()
    })
    await embed({
      containers: [
        { id: 'a', url: `${served.url}/a`, bearer: 'secret' },
        { id: 'b', url: `${served.url}/b`, bearer: 'secret' },
      ],
    })
    for (const containers of [['a'], ['b']]) {
      const { id } = edge.enqueue({ containers, data: '7' })
      expect((await edge.reported(id)).status).toBe('success')
    }
    const there = served.calls.filter(({ url }) => url === '/there')
    expect(there.map(({ method }) => method)).toEqual(['GET', 'POST'])
    expect(there.map(({ body }) => body.length > 0)).toEqual([false, true])
    expect(served.calls.map(({ headers }) => headers.authorization)).toEqual(Array(4).fill('Bearer secret'))
  })

  test.each([301, 302, 303, 307, 308])(
    'behavior: a %i to another origin is not followed, also not after one within it',
    async status => {
      const elsewhere = await serve((_, response) => json(response, '"internal"'))
      onTestFinished(() => elsewhere.close())
      for (const first of ['/out', '/service_output']) {
        const { code, result } = await runDirect(({ url }, response) => {
          const location = url === first ? `${elsewhere.url}/metadata` : first
          response.writeHead(status, { location }).end()
        })
        expect(code).toBe('redirect_refused')
        expect(JSON.parse(result).error).toBe(
          'The container redirects to another origin; redirects are followed within its own alone',
        )
      }
      expect(elsewhere.calls).toEqual([])
    },
  )
})

describe('chain', () => {
  test('default: each container gets the reply of the one before, verbatim', async () => {
    const { edge, embed, container } = await setup()
    const replies = ['{"n": 12345678901234567890, "n": 1.0}', '[ 1e400 ]', '"last"']
    const served = await Promise.all(replies.map(reply => container((_, response) => json(response, reply))))
    const ids = ['a', 'b', 'c']
    await embed({ containers: ids.map((id, index) => ({ id, url: served[index]?.url })) })
    const { id } = edge.enqueue({
      containers: ids,
      data: '"00"',
      source: 0,
      destination: 0,
      requires_proof: true,
    })
    const report = await edge.reported(id)
    expect(served.map(({ calls }) => calls[0]?.body.toString())).toEqual([
      '{"source": 0, "destination": 1, "data": "00", "requires_proof": true}',
      '{"source": 1, "destination": 1, "data": {"n": 12345678901234567890, "n": 1.0}, "requires_proof": true}',
      '{"source": 1, "destination": 0, "data": [ 1e400 ], "requires_proof": true}',
    ])
    expect(report.resultText).toBe('{"container":"c","output":"last"}')
    expect(report.intermediateText).toBe(
      '[{"container":"a","output":{"n": 12345678901234567890, "n": 1.0}},{"container":"b","output":[ 1e400 ]}]',
    )
  })

  test('behavior: stops at the first failure, which is the last element', async () => {
    const { edge, embed, container } = await setup()
    const good = await container(echo)
    const bad = await container((_, response) => json(response, '{"why":1}', 503))
    await embed({
      containers: [
        { id: 'a', url: good.url },
        { id: 'b', url: bad.url },
        { id: 'c', url: good.url },
      ],
    })
    const { id } = edge.enqueue({ containers: ['a', 'b', 'c'], data: '{}' })
    const report = await edge.reported(id)
    expect(report).toMatchObject({ status: 'failed', error_code: 'http_error' })
    expect(JSON.parse(report.resultText)).toMatchObject({ container: 'b', code: 'http_error' })
    expect(report.intermediateText).toBe('[{"container":"a","output":{}}]')
    expect(good.calls.length).toBe(1)
  })
})

describe('outcome', () => {
  const cases: [
    string,
    { handler: Handler; container?: object; code: string | null; error?: string | RegExp; output?: string },
  ][] = [
    ['an empty JSON reply is null', { handler: (_, r) => json(r, ''), code: null, output: 'null' }],
    [
      'any +json type will do',
      {
        handler: (_, r) => r.writeHead(200, { 'content-type': 'text/x+JSON; charset=utf-8' }).end('[]'),
        code: null,
        output: '[]',
      },
    ],
    [
      'invalid JSON is told as it came',
      { handler: (_, r) => json(r, '{"a":'), code: 'invalid_output', error: '{"a":' },
    ],
    [
      'invalid UTF-8 is no JSON',
      { handler: (_, r) => json(r, Buffer.from([0x22, 0xff, 0x22])), code: 'invalid_output' },
    ],
    [
      'an invalid reply is cut at 2 KiB',
      { handler: (_, r) => json(r, 'x'.repeat(5000)), code: 'invalid_output', error: 'x'.repeat(2048) },
    ],
    [
      'another type is refused in the words of the reference',
      {
        handler: (_, r) => r.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end('{}'),
        code: 'invalid_output',
        error:
          /^0, message='Attempt to decode JSON with unexpected mimetype: text\/html; charset=utf-8', url=URL\('one'\)$/,
      },
    ],
    [
      'no type is refused',
      {
        handler: (_, r) => r.writeHead(200).end('{}'),
        code: 'invalid_output',
        error: /unexpected mimetype: ',/,
      },
    ],
    [
      'a status of 400 and up fails',
      {
        handler: (_, r) => json(r, `{"description":"${'y'.repeat(5000)}"}`, 422),
        code: 'http_error',
        error: /^422, message='Unprocessable Entity', url=URL\('one'\)\n\{"description":"y{2032}$/s,
      },
    ],
    [
      'a status of 400 and up with http_errors "success" is a success',
      {
        handler: (_, r) => json(r, '{"code":"400"}', 400),
        container: { http_errors: 'success' },
        code: null,
        output: '{"code":"400"}',
      },
    ],
    [
      'an error whose body never ends is told with what has come of it',
      {
        handler: (_, r) => void r.writeHead(500, { 'content-type': 'text/plain' }).write('out of luck'),
        container: { timeout: 10 },
        code: 'http_error',
        error: /^500, message='Internal Server Error', url=URL\('one'\)\nout of luck$/,
      },
    ],
    [
      'an error whose body does not end in the time of its container is one all the same',
      {
        handler: (_, r) => void r.writeHead(500, { 'content-type': 'text/plain' }).write('out of luck'),
        container: { timeout: 0.2 },
        code: 'http_error',
        error: /out of luck$/,
      },
    ],
    [
      'an error whose body breaks off is told with what has come of it',
      {
        handler: (_, r) =>
          raw(r, 'HTTP/1.1 500 Oops\r\ncontent-type: text/plain\r\ncontent-length: 100\r\n\r\nwrong'),
        code: 'http_error',
        error: /^500, message='Oops', url=URL\('one'\)\nwrong$/,
      },
    ],
    [
      'another type is refused without waiting for all of it',
      {
        handler: (_, r) => void r.writeHead(200, { 'content-type': 'text/html' }).write('<h1>'),
        container: { timeout: 60 },
        code: 'invalid_output',
        error: /unexpected mimetype: text\/html/,
      },
    ],
    [
      'what is not HTTP is no reply',
      {
        handler: (_, r) => raw(r, 'SSH-2.0-OpenSSH_9.7\r\n'),
        code: 'invalid_output',
        error: /^The reply is not HTTP: Expected HTTP\//,
      },
    ],
    [
      'a line of its head that cannot be read is no reply',
      {
        handler: (_, r) => raw(r, 'HTTP/1.1 200 OK\r\ncontent-length: two\r\n\r\n{}'),
        code: 'invalid_output',
        error: 'The reply is not HTTP: Invalid character in Content-Length',
      },
    ],
    [
      'headers that are too large are no reply',
      {
        handler: (_, r) =>
          raw(r, `HTTP/1.1 200 OK\r\nx: ${'y'.repeat(20_000)}\r\ncontent-length: 2\r\n\r\n{}`),
        code: 'invalid_output',
        error: 'The headers of the reply are larger than 16 KiB',
      },
    ],
    [
      'a head that breaks off is a connection that broke off',
      { handler: (_, r) => raw(r, 'HTTP/1.1 200 OK\r\ncontent-le'), code: 'connection_lost' },
    ],
    [
      'a piece that breaks off is a connection that broke off',
      {
        handler: (_, r) =>
          raw(
            r,
            'HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n9\r\n[1',
          ),
        code: 'connection_lost',
      },
    ],
    [
      'a container that is silent times out',
      {
        handler: () => {},
        container: { timeout: 0.2 },
        code: 'timeout',
        error: 'Container one did not answer within 0.2 s',
      },
    ],
    [
      'a reply that stalls in the middle times out',
      {
        handler: (_, r) => void r.writeHead(200, { 'content-type': 'application/json' }).write('[1,'),
        container: { timeout: 0.2 },
        code: 'timeout',
      },
    ],
    [
      'a connection that breaks is told',
      { handler: (_, r) => void r.socket?.destroy(), code: 'connection_lost', error: /Server disconnected/ },
    ],
    [
      'a reply that breaks off is told',
      {
        handler: (_, r) => {
          r.writeHead(200, { 'content-type': 'application/json', 'content-length': 100 })
          r.write('[1,', () => r.socket?.destroy())
        },
        code: 'connection_lost',
      },
    ],
    [
      'an announced reply beyond the bound is not read',
      {
        handler: (_, r) =>
          void r.writeHead(200, { 'content-type': 'application/json', 'content-length': 2 ** 30 }).write('['),
        code: 'output_too_large',
      },
    ],
    [
      'a nowhere-ending redirect is its own reply',
      {
        handler: ({ url }, r) => r.writeHead(302, { location: url }).end(),
        code: 'invalid_output',
      },
    ],
  ]

  test("behavior: the job's own timeout spans its whole chain, whatever each container may take", async () => {
    let calls = 0
    const { served, code, result } = await runDirect(
      ({ body }, response) => {
        calls += 1
        if (calls === 1) json(response, dataOf(body).toString())
      },
      { container: { timeout: 10 }, job: { containers: ['one', 'one', 'one'], timeout_ms: 1_500 } },
    )
    expect(served.calls).toHaveLength(2)
    expect(code).toBe('timeout')
    expect(result).toBe(
      '{"container":"one","error":"The job did not end within the timeout that it came with","code":"timeout"}',
    )
  })

  test.each(cases)('behavior: %s', async (_, { handler, container = {}, code, error, output }) => {
    const { code: told, result } = await runDirect(handler, { container })
    expect(told).toBe(code)
    if (output !== undefined) expect(result).toBe(`{"container":"one","output":${output}}`)
    else expect(JSON.parse(result)).toMatchObject({ container: 'one', code })
    if (typeof error === 'string') expect(JSON.parse(result).error).toBe(error)
    if (error instanceof RegExp) expect(JSON.parse(result).error).toMatch(error)
  })

  test('behavior: a status and a refused connection are told in the words of the reference', async () => {
    const { edge, embed, container } = await setup()
    const served = await container((_, response) => json(response, '"no"', 422))
    const { port } = new URL(served.url)
    const runner = await embed({ manage_containers: false, containers: [{ id: 'one', port }] })
    await runner.ready
    const report = async () => await edge.reported(edge.enqueue({ containers: ['one'], data: '{}' }).id)
    expect(JSON.parse((await report()).resultText).error).toBe(
      `422, message='Unprocessable Entity', url=URL('http://localhost:${port}/service_output')\n"no"`,
    )
    served.close()
    const refused = await report()
    expect(JSON.parse(refused.resultText).error).toMatch(
      new RegExp(
        `^Cannot connect to host localhost:${port} ssl:default \\[Connect call failed \\('.+', ${port}\\)\\]$`,
      ),
    )
    expect(refused.error_code).toBe('connection_refused')
  })

  test('behavior: where a container with a url is nobody is told who asks for a job', async () => {
    const closed = await serve(echo)
    closed.close()
    const secret = '/token/sk-live?key=hunter2'
    const refused = await runDirect(echo, { container: { url: `${closed.url}${secret}` } })
    const unknown = await runDirect(echo, { container: { url: `http://internal.invalid:1${secret}` } })
    expect(unknown).toMatchObject({ code: 'connection_failed', unreachable: ['one'] })
    const lost = await runDirect((_, response) => void response.socket?.destroy())
    expect([refused, unknown, lost].map(({ result }) => JSON.parse(result).error)).toEqual([
      'Cannot connect to container one [connection refused]',
      expect.stringMatching(/^Cannot connect to container one \[(ENOTFOUND|EAI_AGAIN)\]$/),
      'Server disconnected: container one closed the connection before its reply was complete',
    ])
  })

  test('behavior: a container that broke the connection was there', async () => {
    expect((await runDirect((_, response) => void response.socket?.destroy())).unreachable).toEqual([])
  })

  test('behavior: a container that is not ours fails the job', async () => {
    const { code, result } = await runDirect(echo, { job: { containers: ['missing'] } })
    expect(code).toBe('container_unavailable')
    expect(JSON.parse(result).error).toBe('Container missing is not configured on this runner')
  })

  test('behavior: one that is not up fails the job by what it is down by, without its last words', async () => {
    const starting = await runDirect(echo, { change: { health: 'starting' } })
    expect(starting.code).toBe('not_ready')
    const unreached = await runDirect(echo, { change: { health: 'unhealthy', detail: 'connection refused' } })
    expect(unreached.code).toBe('container_unavailable')
    const cause = {
      code: 'disk_limit',
      detail: 'it wrote 2 GiB',
      lines: [{ at: Date.now(), text: 'secret' }],
    } as const
    const down = await runDirect(echo, { change: { health: 'unhealthy', cause } })
    expect(down.code).toBe('disk_limit')
    expect(JSON.parse(down.result).error).toBe('Container one: it wrote 2 GiB')
  })
})

describe('size', () => {
  const mib = 1024 * 1024

  test('behavior: a large input streams through, and a large output goes back in parts', async () => {
    const { edge, embed, container } = await setup()
    const served = await container(echo)
    await embed({
      containers: [
        { id: 'a', url: served.url },
        { id: 'b', url: served.url },
      ],
    })
    const data = JSON.stringify({
      text: 'é"\\'.repeat(mib),
      list: Array.from({ length: 50_000 }, (_, i) => i),
    })
    const single = edge.enqueue({ containers: ['a'], data })
    expect((await edge.reported(single.id)).resultText === `{"container":"a","output":${data}}`).toBe(true)
    const chained = edge.enqueue({ containers: ['a', 'b'], data })
    const report = await edge.reported(chained.id)
    expect(report.resultText === `{"container":"b","output":${data}}`).toBe(true)
    expect(report.intermediateText === `[{"container":"a","output":${data}}]`).toBe(true)
    expect(report.result).toEqual({
      parts: Math.ceil(Buffer.byteLength(report.resultText) / limits.partBytes),
      bytes: Buffer.byteLength(report.resultText),
    })
    expect(dataOf(served.calls[0]?.body ?? Buffer.alloc(0)).toString() === data).toBe(true)
  })

  test('behavior: a large reply that is not one JSON value fails', async () => {
    for (const reply of [
      `[${'1,'.repeat(mib)}`,
      `"${'x'.repeat(2 * mib)}", "y": 1`,
      `${'1'.repeat(2 * mib)}x`,
    ]) {
      const { code, left } = await runDirect((_, response) =>
        response.writeHead(200, { 'content-type': 'application/json' }).end(reply),
      )
      expect(code).toBe('invalid_output')
      expect(left).toEqual({ files: [], bytes: 0 })
    }
  })

  test('behavior: a reply beyond the bound fails without being kept', async () => {
    const chunk = Buffer.alloc(mib, '1')
    const { code, left } = await runDirect((_, response) => {
      response.writeHead(200, { 'content-type': 'application/json' })
      const more = () => {
        while (!response.destroyed && response.write(chunk));
        response.once('drain', more)
      }
      more()
    })
    expect(code).toBe('output_too_large')
    expect(left).toEqual({ files: [], bytes: 0 })
  })

  test('behavior: a large reply cut off by the timeout is not kept, one that is whole counts until it is stored', async () => {
    const large = `"${'x'.repeat(2 * mib)}"`
    const cut = await runDirect(
      (_, response) =>
        void response.writeHead(200, { 'content-type': 'application/json' }).write(large.slice(0, -1)),
      { container: { timeout: 0.5 } },
    )
    expect(cut.code).toBe('timeout')
    expect(cut.left).toEqual({ files: [], bytes: 0 })
    const whole = await runDirect((_, response) => json(response, large))
    expect(whole.left).toEqual({ files: [expect.any(String)], bytes: large.length })
  })

  test('behavior: large replies leave the scratch directory once the result is stored', async () => {
    const { edge, embed, container, directory } = await setup()
    const served = await container((_, response) => json(response, `"${'x'.repeat(2 * mib)}"`))
    await embed({
      containers: [
        { id: 'a', url: served.url },
        { id: 'b', url: served.url },
      ],
    })
    const { id } = edge.enqueue({ containers: ['a', 'b'], data: '1' })
    expect((await edge.reported(id)).status).toBe('success')
    await expect.poll(() => readdir(join(directory, '.infernet-runner', 'scratch'))).toEqual([])
  })

  test('behavior: an input that breaks off is asked for again; one that is gone fails', async () => {
    const { edge, embed, container } = await setup()
    const served = await container(echo)
    await embed({ containers: [{ id: 'one', url: served.url }] })
    const data = JSON.stringify('x'.repeat(200_000))
    let faults = 1
    edge.state.fault = path => (path.endsWith('/input') && faults-- > 0 ? 'drop' : undefined)
    const first = edge.enqueue({ containers: ['one'], data })
    expect((await edge.reported(first.id)).status).toBe('success')
    edge.state.fault = path => (path.endsWith('/input') ? refusal('conflict') : undefined)
    const second = edge.enqueue({ containers: ['one'], data })
    expect((await edge.reported(second.id)).error_code).toBe('input_unavailable')
  })

  test.each([503, 404])(
    "behavior: %s while an input is to be read is asked again until it is over, on nobody's time",
    async status => {
      const { edge, embed, container } = await setup()
      const served = await container(echo)
      await embed({ containers: [{ id: 'one', url: served.url, timeout: 1 }] })
      let first: number | undefined
      edge.state.fault = path => {
        if (!path.endsWith('/input')) return undefined
        first ??= Date.now()
        return Date.now() - first < 1_500 ? { status } : undefined
      }
      const data = JSON.stringify('x'.repeat(200_000))
      const { id } = edge.enqueue({ containers: ['one'], data, timeout_ms: 1_000 })
      expect(await edge.reported(id)).toMatchObject({ status: 'success', error_code: null })
    },
  )
})
