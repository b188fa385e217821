import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startTestEdge, type TestEdge } from '../support/edge.ts'
import { policyOf, startTestRunner, type TestRunner } from '../support/runner.ts'
import { installReference } from './python/install.ts'
import { answerQuestion, chained, failure, serve } from './serve.ts'

const script = fileURLToPath(new URL('python/reference.py', import.meta.url))
const main = fileURLToPath(new URL('../../src/client/main.ts', import.meta.url))
const run = promisify(execFile)

const reference = await installReference()
if ('missing' in reference) {
  const untested = `The reference's Python client is not tested: ${reference.missing}`
  if (process.env.CI === 'true') throw new Error(untested)
  console.warn(untested)
}
const python = 'python' in reference ? reference.python : ''

type Call = (method: string, args?: unknown[], keywords?: Record<string, unknown>) => Promise<unknown>

describe.skipIf(python === '')("the reference's Python client 1.4.0", () => {
  let edge: TestEdge
  let runner: TestRunner
  let idleRunner: TestRunner
  let serving: AsyncDisposable
  let child: ChildProcess
  let call: Call

  beforeAll(async () => {
    edge = await startTestEdge()
    const policies = [
      policyOf('echo', { description: 'Echo', image: 'echo:1' }),
      policyOf('upper'),
      policyOf('broken'),
    ]
    runner = await startTestRunner(edge, policies)
    // Known, online, and never claimed: its jobs stay pending.
    idleRunner = await startTestRunner(edge, [policyOf('idle')])
    serving = serve(runner, job =>
      job.containers.includes('broken')
        ? failure(job, 'out of memory')
        : chained(job, { said: '{"step": 1}', output: job.data ?? 'null' }),
    )
    child = spawn(python, [script, edge.url], { stdio: ['pipe', 'pipe', 'inherit'] })
    const lines = createInterface({ input: child.stdout! })
    call = async (method, args = [], keywords = {}) => {
      child.stdin!.write(`${JSON.stringify([method, args, keywords])}\n`)
      const [line] = await once(lines, 'line')
      return JSON.parse(line as string)
    }
  })
  afterAll(async () => {
    child.stdin!.end()
    await once(child, 'close')
    await serving[Symbol.asyncDispose]()
    await edge[Symbol.asyncDispose]()
  })

  const job = (containers: string[], data: unknown = { prompt: 'café ☃' }) => ({
    containers,
    data,
    requires_proof: false,
  })
  const requested = async (containers: string[], data?: unknown) =>
    ((await call('request_job', [job(containers, data)])) as { value: string }).value

  test('health, get_info, check_model_support', async () => {
    expect(await call('health')).toEqual({ value: true })
    const info = async () => {
      await edge.request('/ready')
      return await call('get_info')
    }
    await expect.poll(info, { timeout: 10_000 }).toMatchObject({
      value: {
        containers: expect.arrayContaining([
          { id: 'echo', description: 'Echo', external: true, image: 'echo:1' },
          expect.objectContaining({ id: 'idle' }),
        ]),
        chain: { enabled: false, address: '' },
        pending: { onchain: 0 },
      },
    })
    const answers = [
      answerQuestion(runner, { echo: { supported: true }, upper: { supported: false } }),
      answerQuestion(idleRunner, { idle: { supported: false } }),
    ]
    expect(await call('check_model_support', ['a/b:c d'])).toEqual({
      value: { echo: { supported: true }, upper: { supported: false }, idle: { supported: false } },
    })
    expect(await Promise.all(answers)).toEqual(['a/b:c d', 'a/b:c d'])
  })

  test('request_job, get_job_result_sync', async () => {
    const id = await requested(['echo'])
    expect(id).toMatch(/^[0-9a-f-]{36}$/)
    expect(await call('get_job_result_sync', [id])).toEqual({
      value: { id, status: 'success', result: { container: 'echo', output: { prompt: 'café ☃' } } },
    })
    const broken = await requested(['broken'])
    expect(await call('get_job_result_sync', [broken])).toEqual({
      value: { id: broken, status: 'failed', result: { container: 'broken', error: 'out of memory' } },
    })
    expect(await call('get_job_result_sync', ['unknown'])).toEqual({ value: null })
    const idle = await requested(['idle'])
    expect(await call('get_job_result_sync', [idle], { retries: 1 })).toEqual({
      error: 'TimeoutError',
      text: 'Job result not available after 1 retries',
    })
  })

  test('get_job_results, with and without intermediate ones', async () => {
    const id = await requested(['echo', 'upper'], { n: 1 })
    await call('get_job_result_sync', [id])
    const result = { id, status: 'success', result: { container: 'upper', output: { n: 1 } } }
    expect(await call('get_job_results', [[id, 'unknown']])).toEqual({ value: [result] })
    expect(await call('get_job_results', [[id]], { intermediate: true })).toEqual({
      value: [{ ...result, intermediate_results: [{ container: 'echo', output: { step: 1 } }] }],
    })
    expect(await call('get_job_results', [[]])).toEqual({ value: [] })
  })

  test('request_jobs', async () => {
    expect(await call('request_jobs', [[job(['echo']), job(['nope']), job(['upper'])]])).toEqual({
      value: [
        { id: expect.any(String) },
        { error: 'Container not supported', params: { container: 'nope' }, code: 'unsupported_container' },
        { id: expect.any(String) },
      ],
    })
  })

  test('get_jobs', async () => {
    const idle = await requested(['idle'])
    const done = await requested(['echo'])
    await call('get_job_result_sync', [done])
    const [pending, completed, all] = [
      await call('get_jobs', [true]),
      await call('get_jobs', [false]),
      await call('get_jobs'),
    ]
    expect(pending).toEqual({ value: expect.arrayContaining([idle]) })
    expect(completed).toEqual({ value: expect.arrayContaining([done]) })
    expect(completed).not.toEqual({ value: expect.arrayContaining([idle]) })
    expect(all).toEqual({ value: expect.arrayContaining([idle, done]) })
  })

  test('refusals are its APIError', async () => {
    expect(await call('request_job', [job(['nope'])])).toEqual({
      api_error: {
        status: 422,
        message: 'Container not supported',
        params: { container: 'nope' },
        text: '[422] Container not supported - [container=nope]',
      },
    })
    expect(await call('request_job', [job([])])).toMatchObject({
      api_error: { text: '[400] No containers specified' },
    })
    expect(await call('request_jobs', [Array(101).fill(job(['echo']))])).toMatchObject({
      api_error: { status: 413, params: { limit: 100 } },
    })
    expect(await call('get_job_results', [Array(101).fill('x')])).toMatchObject({
      api_error: { status: 413 },
    })
    expect(await call('request_stream', [job(['nope'])])).toMatchObject({
      api_error: { status: 422, message: 'Container not supported', params: { container: 'nope' } },
    })
    expect(await call('record_status', ['x', 'success', job(['echo'])])).toMatchObject({
      api_error: { text: '[403] Unauthorized' },
    })
  })

  test('default: request_stream gives the id, and then what the container says', async () => {
    const { value } = (await call('request_stream', [job(['echo'], { n: 1 })])) as { value: string[] }
    const [id, ...said] = value
    expect(id).toMatch(/^'[0-9a-f-]{36}'$/)
    expect(said.join('')).toBe(`b'{"n": 1}'`)
  })

  test('its command and ours print the same', async () => {
    const done = await requested(['echo', 'upper'], { n: 1, s: 'a"b', list: [], deep: [{ x: null }] })
    await call('get_job_result_sync', [done])
    const input = join(await mkdtemp(join(tmpdir(), 'infernet-python-')), 'input.json')
    await writeFile(input, '{"n":1,"deep":[[],{},[1,2]]}')
    for (const args of [
      ['health'],
      ['info'],
      ['ids', '--status', 'completed'],
      ['results', '--id', done, '--intermediate'],
      ['job', '--sync', '-c', 'echo', '--requires-proof', 'false', '-i', input],
    ]) {
      const env = { ...process.env, SERVER_URL: edge.url }
      const [theirs, ours] = await Promise.all([
        run(python, [script, 'cli', ...args], { env }),
        run(process.execPath, [main, ...args], { env }),
      ])
      expect(ours.stdout).toBe(theirs.stdout)
    }
  })
})
