import { randomUUID } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { Agent } from 'undici'
import { describe, expect, onTestFinished, test } from 'vitest'
import { isText, textIn } from '../../src/runner/cog/text.ts'
import { parseConfig } from '../../src/runner/config/load.ts'
import { createContainers } from '../../src/runner/containers.ts'
import { watchHealth } from '../../src/runner/health/watch.ts'
import type { Rope } from '../../src/runner/rope.ts'
import { eventually, setup } from './setup.ts'
import { spawnMain } from './spawn.ts'

const fake = fileURLToPath(new URL('./cog-main.ts', import.meta.url))

type Asked = { method: string; path: string; accept: string; body: string; authorization: string }

/** A container of Cog's kind as a process, and ways to set how it is and to see what it was asked. */
async function startCog() {
  const process = spawnMain(['0'], {}, fake)
  onTestFinished(() => void process.child.kill('SIGKILL'))
  await process.said('listens on')
  const url = `http://127.0.0.1:${/listens on (\d+)/.exec(process.output())?.[1]}`
  return {
    url,
    set: (state: object) => fetch(`${url}/control`, { method: 'POST', body: JSON.stringify(state) }),
    asked: async () => (await (await fetch(`${url}/control`)).json()) as Asked[],
  }
}

async function start(config: object = {}) {
  const cog = await startCog()
  const { edge, embed, logged } = await setup()
  const entry = { id: 'one', url: cog.url, api: 'cog', bearer: 'token', slots: 4, ...config }
  const runner = await embed({ containers: [entry], drain_timeout: 1 })
  return {
    cog,
    edge,
    logged,
    runner,
    async run(data: string, job: object = {}) {
      const { id } = edge.enqueue({ containers: ['one'], data, ...job })
      const { status, error_code, resultText } = await edge.reported(id)
      return { id, status, error_code, resultText }
    },
  }
}

describe('predictions', () => {
  test('default: the data is the input, and the output the result, byte for byte', async () => {
    const { cog, runner, run } = await start()
    await runner.ready
    const say = '{"n": 12345678901234567890, "output": [1.0, "\\u00e9"]}'
    const { id, ...result } = await run(`{"say": ${say}}`)
    expect(result).toEqual({
      status: 'success',
      error_code: null,
      resultText: `{"container":"one","output":${say}}`,
    })
    const [asked] = (await cog.asked()).filter(({ path }) => path === '/predictions')
    expect(asked).toEqual({
      method: 'POST',
      path: '/predictions',
      accept: '*/*',
      authorization: 'Bearer token',
      body: `{"id": "${id}-1-0", "input": {"say": ${say}}}`,
    })
  })

  test('behavior: an answer too large for memory, and one without an output', async () => {
    const { runner, run } = await start()
    await runner.ready
    const large = await run('{"say": [1.0], "pad": 3000000}')
    expect(large.resultText).toBe('{"container":"one","output":[1.0]}')
    const none = await run('{"other": 1}')
    expect(none.resultText).toBe('{"container":"one","output":null}')
  })

  test('behavior: what fails there fails here, in its words', async () => {
    const { runner, run } = await start()
    await runner.ready
    expect(await run('{"fail": "CUDA out of memory"}')).toMatchObject({
      status: 'failed',
      error_code: 'prediction_failed',
      resultText: '{"container":"one","error":"CUDA out of memory","code":"prediction_failed"}',
    })
    const refused = await run('"text"')
    expect(refused.error_code).toBe('http_error')
    expect(refused.resultText).toContain('input: not an object')
  })

  test('behavior: a job that is cancelled, or takes too long, is cancelled there too', async () => {
    const { cog, edge, runner, run } = await start({ timeout: 0.5 })
    await runner.ready
    const late = await run('{"hang": true}')
    expect(late.error_code).toBe('timeout')
    const { id } = edge.enqueue({ containers: ['one'], data: '{"hang": true}' })
    const started = async () => (await cog.asked()).some(({ body }) => body.includes(id))
    await expect.poll(started).toBe(true)
    edge.cancel(id)
    const paths = async () => (await cog.asked()).map(({ method, path }) => `${method} ${path}`)
    for (const job of [late.id, id]) await expect.poll(paths).toContain(`POST /predictions/${job}-1-0/cancel`)
    expect((await cog.asked()).at(-1)?.authorization).toBe('Bearer token')
  })
})

describe('streams', () => {
  const stream = { destination: 2 }

  test('default: pieces as they come, of a model that streams', async () => {
    const { cog, edge, runner, run } = await start()
    await runner.ready
    const { id, status } = await run('{"stream": ["On", "ions ", "é", {"n": 1}]}', stream)
    expect(status).toBe('success')
    expect(edge.streams.bytes(id).toString()).toBe('Onions é{"n":1}\n')
    const asked = (await cog.asked()).filter(({ path }) => path === '/predictions')
    expect(asked.map(({ accept }) => accept)).toEqual(['text/event-stream'])
  })

  test('behavior: in one piece of a model that does not', async () => {
    const { cog, edge, runner, run } = await start()
    await cog.set({ streams: false })
    await runner.ready
    for (const [said, output] of [
      ['"Onions é"', 'Onions é'],
      ['["On", "ions"]', 'Onions'],
      ['{"n": 1.0}', '{"n": 1.0}'],
    ] as const) {
      const { id, status } = await run(`{"say": ${said}}`, stream)
      expect(status).toBe('success')
      expect(edge.streams.bytes(id).toString()).toBe(output)
    }
    const failed = await run('{"fail": "no"}', stream)
    expect(failed.resultText).toBe('{"container":"one","error":"no","code":"prediction_failed"}')
  })

  test('behavior: one that fails in the middle leaves its output, and says why', async () => {
    const { edge, runner, run } = await start()
    await runner.ready
    const failed = await run('{"stream": ["a", "b"], "end": "failed"}', stream)
    expect(failed.error_code).toBe('prediction_failed')
    expect(failed.resultText).toContain('"error":"out of memory"')
    expect(edge.streams.bytes(failed.id).toString()).toBe('ab')
    const cut = await run('{"stream": ["a"], "end": "cut"}', stream)
    expect(cut.error_code).toBe('connection_lost')
  })

  test('behavior: an event that does not end is no output, whether in one line or in many', async () => {
    const { edge, runner, run } = await start()
    await runner.ready
    for (const flood of ['line', 'lines']) {
      const failed = await run(`{"stream": ["a"], "flood": "${flood}"}`, stream)
      expect(failed.error_code).toBe('invalid_output')
      expect(failed.resultText).toContain('An event is longer than 20971520 characters')
      expect(edge.streams.bytes(failed.id).toString()).toBe('a')
    }
  })
})

describe('an output as text', () => {
  /** A JSON text that comes in pieces of so many bytes. */
  const inPieces = (json: string, bytes: number): Rope => [
    {
      bytes: Buffer.byteLength(json),
      async *open() {
        const all = Buffer.from(json)
        for (let at = 0; at < all.length; at += bytes) yield all.subarray(at, at + bytes)
      },
    },
  ]
  /** What is beyond ASCII as escapes, as Python writes it. */
  const escaped = (json: string) =>
    json.replace(/[\u0080-\uffff]/g, unit => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
  const text = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 12 }),
    fc.string({ unit: fc.constantFrom('\\', '"', '\n', '[', ',', '\ud83d', '\ude00', 'é'), maxLength: 12 }),
  )

  test('behavior: is as if it were parsed, wherever it is cut', async () => {
    const said = fc.oneof(text, fc.array(text, { maxLength: 4 }))
    await fc.assert(
      fc.asyncProperty(said, fc.boolean(), fc.integer({ min: 1, max: 9 }), async (value, isPython, bytes) => {
        const json = JSON.stringify(value, null, isPython ? 0 : 1)
        const rope = inPieces(isPython ? escaped(json) : json, bytes)
        expect(await isText(rope)).toBe(true)
        const pieces: Uint8Array[] = []
        for await (const piece of textIn(rope)) pieces.push(piece)
        expect(Buffer.concat(pieces).toString()).toBe(Buffer.from([value].flat().join('')).toString())
      }),
    )
  })

  test.each(['1', 'null', '{"a": "b"}', '[["a"]]', '["a", 1]', '["a", {}]', '[true]'])(
    'behavior: %s is none',
    async json => expect(await isText(inPieces(json, 1))).toBe(false),
  )
})

describe('health', () => {
  test('default: starting until it is ready, however soon it answers', async () => {
    const { cog, edge, runner, logged } = await (async () => {
      const cog = await startCog()
      await cog.set({ status: 'STARTING' })
      const { edge, embed, logged } = await setup()
      const runner = await embed({ containers: [{ id: 'one', url: cog.url, api: 'cog' }] })
      return { cog, edge, runner, logged }
    })()
    await eventually(() => logged.some(({ fields }) => fields.detail === 'STARTING'))
    expect(runner.status()?.containers).toMatchObject([{ health: 'starting' }])
    await cog.set({ status: 'BUSY' })
    await runner.ready
    const { id } = edge.enqueue({ containers: ['one'], data: '{"say": 1}' })
    expect((await edge.reported(id)).status).toBe('success')
  })

  test('behavior: a setup that failed is told with its log, and another try is seen', async () => {
    const cog = await startCog()
    await cog.set({ status: 'SETUP_FAILED', logs: `${'.'.repeat(2000)}\nNo weights at /src/model` })
    const { embed, logged } = await setup()
    const runner = await embed({ containers: [{ id: 'one', url: cog.url, api: 'cog' }] })
    await eventually(() => runner.status()?.containers[0]?.health === 'unhealthy')
    const detail = runner.status()?.containers[0]?.detail ?? ''
    expect(detail).toMatch(/^SETUP_FAILED: \.+\nNo weights at \/src\/model$/)
    expect(detail.length).toBeLessThan(600)
    await cog.set({ status: 'READY' })
    await runner.ready
    const failures = logged.filter(({ event }) => event === 'A container says that it has failed')
    expect(failures.length).toBe(1)
  })

  test('behavior: once it was ready its own words are told to nobody, also when it is asked again and again', async () => {
    const { cog, edge, runner, run, logged } = await start()
    await runner.ready
    await cog.set({ status: 'UNHEALTHY', logs: 'the last input was PATIENT-4711' })
    await eventually(() => runner.status()?.containers[0]?.health === 'unhealthy')
    expect(runner.status()?.containers).toMatchObject([{ detail: 'UNHEALTHY' }])
    // Its own restart, in which it fails in another way.
    await cog.set({ status: 'SETUP_FAILED' })
    await eventually(() => edge.health()[0]?.detail === 'SETUP_FAILED')
    await cog.set({ status: 'READY' })
    await eventually(() => runner.status()?.containers[0]?.health === 'ready')
    expect((await run('{"say": 1}')).status).toBe('success')
    expect(JSON.stringify([logged, edge.seen])).not.toContain('PATIENT')
  })

  test("behavior: a word that is none of Cog's is not passed on", async () => {
    const { embed, logged, container } = await setup()
    const served = await container((_, response) => {
      response.writeHead(200, { 'content-type': 'application/json' })
      response.end(JSON.stringify({ status: 'PATIENT-4711'.repeat(100_000) }))
    })
    await embed({ containers: [{ id: 'one', url: served.url, api: 'cog' }] })
    await eventually(() => logged.some(({ fields }) => fields.detail === 'its health is not as Cog tells it'))
    expect(JSON.stringify(logged)).not.toContain('PATIENT')
  })

  test('behavior: what is no health as Cog tells it is not ready', async () => {
    const { embed, logged, container } = await setup()
    let body = '<html>'
    const served = await container((_, response) => {
      response.writeHead(200, { 'content-type': 'application/json' }).end(body)
    })
    const entry = { id: 'one', url: served.url, api: 'cog' }
    const first = await embed({ containers: [entry] })
    await eventually(() => logged.some(({ fields }) => fields.detail === 'its health is not as Cog tells it'))
    await first.stop()
    body = `{"status":"READY","setup":{"logs":"${'.'.repeat(9 * 1024 * 1024)}"}}`
    const second = await embed({ containers: [entry] })
    await eventually(() =>
      logged.some(({ fields }) => String(fields.detail).includes('is longer than 8388608')),
    )
    expect(second.status()?.containers).toMatchObject([{ health: 'starting' }])
  })

  test('behavior: one that fails after it was ready is found out', async () => {
    const cog = await startCog()
    const source = {
      edge: { url: 'http://edge', key_file: 'k' },
      containers: [{ id: 'one', url: cog.url, api: 'cog' }],
    }
    const { config } = parseConfig(JSON.stringify(source), { path: 'config.json', env: {} })
    const containers = createContainers(config.containers)
    containers.change('one', { health: 'ready' })
    const agent = new Agent()
    const controller = new AbortController()
    const failed = Promise.withResolvers<string>()
    const { signal } = controller
    const onFailed = (_: unknown, detail: string) => failed.resolve(detail)
    const watched = watchHealth({ containers, agent, onFailed, signal, everyMs: 20 })
    await expect.poll(async () => (await cog.asked()).length).toBeGreaterThan(1)
    await cog.set({ status: 'DEFUNCT', logs: randomUUID() })
    // What it says of itself may be about jobs by now.
    expect(await failed.promise).toBe('DEFUNCT')
    controller.abort()
    await watched
    await agent.destroy()
  })
})
