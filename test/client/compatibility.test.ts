import { readFile } from 'node:fs/promises'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { text } from 'node:stream/consumers'
import { createGunzip } from 'node:zlib'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { adminToken, startTestEdge, type TestEdge } from '../support/edge.ts'
import { policyOf, startTestRunner, success, type TestRunner } from '../support/runner.ts'
import { answerQuestion, chained, failure } from './serve.ts'

// The requests of the reference's Python client 1.4.0, byte for byte as aiohttp sends them: header by header, JSON with Python's
// spacing and escapes. What is asserted is what that client reads in the answers.

let edge: TestEdge
let runner: TestRunner

beforeAll(async () => {
  edge = await startTestEdge()
  runner = await startTestRunner(edge, [
    policyOf('echo', { description: 'Says it again', image: 'example/echo:1' }),
    policyOf('upper'),
    policyOf('inner', { external: false }),
    policyOf('shut', { allowed_ips: ['10.0.0.0/8'] }),
  ])
})
afterAll(async () => await edge[Symbol.asyncDispose]())

type Said = { status: number | undefined; type: string | undefined; body: unknown }

async function python(method: string, path: string, json?: string): Promise<Said> {
  const { host, hostname, port } = new URL(edge.url)
  const bytes = json === undefined ? undefined : Buffer.from(json)
  const headers = [
    ...['Host', host],
    ...['Accept', '*/*'],
    ...['Accept-Encoding', 'gzip, deflate'],
    ...['User-Agent', 'Python/3.11 aiohttp/3.9.4'],
    ...(bytes ? ['Content-Length', String(bytes.byteLength), 'Content-Type', 'application/json'] : []),
  ]
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const sent = httpRequest({
      hostname,
      port,
      method,
      path,
      headers,
      setDefaultHeaders: false,
      agent: false,
    })
    sent.once('error', reject).once('response', resolve).end(bytes)
  })
  // The client offers gzip, and takes what comes.
  const zipped = response.headers['content-encoding'] === 'gzip'
  const body = await text(zipped ? response.pipe(createGunzip()) : response)
  return { status: response.statusCode, type: response.headers['content-type'], body: JSON.parse(body) }
}

/** aiohttp's `response.json()` refuses any other content type. */
const answered = (status: number, body: unknown): Said => ({ status, type: 'application/json', body })

const job =
  '{"containers": ["echo"], "data": {"prompt": "caf\\u00e9 \\u2603", "n": 9007199254740993, "f": 1.0, "x": [1, 2]}, "requires_proof": false}'
const data = '{"prompt": "caf\\u00e9 \\u2603", "n": 9007199254740993, "f": 1.0, "x": [1, 2]}'

/** Requests a job, and @returns its id. */
async function requested(body = job): Promise<string> {
  const said = await python('POST', '/api/jobs', body)
  expect(said).toEqual(answered(200, { id: expect.any(String) }))
  return (said.body as { id: string }).id
}

test('health', async () => {
  expect(await python('GET', '/health')).toEqual(answered(200, { status: 'healthy' }))
})

test('get_info', async () => {
  // The node knows of a container some seconds after its runner has told of it; asked whether it is ready, it looks again.
  const info = async () => {
    await edge.request('/ready')
    return (await python('GET', '/info')).body
  }
  await expect.poll(info, { timeout: 10_000 }).toMatchObject({ containers: { length: 4 } })
  expect(await python('GET', '/info')).toEqual(
    answered(200, {
      version: expect.any(String),
      containers: expect.arrayContaining([
        { id: 'echo', description: 'Says it again', external: true, image: 'example/echo:1' },
        { id: 'inner', description: '', external: false, image: '' },
      ]),
      pending: { offchain: expect.any(Number), onchain: 0 },
      chain: { enabled: false, address: '' },
      // Ours, beside the reference's.
      chains: [],
    }),
  )
})

test('get_resources, check_model_support', async () => {
  const asked = python('GET', '/resources?model_id=huggingface/Ritual-Net/iris:model+v1.onnx')
  const model = await answerQuestion(runner, { echo: { supported: true } })
  expect(model).toBe('huggingface/Ritual-Net/iris:model v1.onnx')
  expect(await asked).toEqual(answered(200, { echo: { supported: true } }))
})

test('request_job, get_job_results: data reaches the container as Python wrote it', async () => {
  const id = await requested()
  expect(await python('GET', `/api/jobs?id=${id}`)).toEqual(
    answered(200, [{ id, status: 'running', result: null }]),
  )
  const [claimed] = await runner.claim()
  expect(claimed).toMatchObject({ id, data, source: 1, destination: 1, requires_proof: false })
  await runner.report([success(claimed!, '{"said": 1.0}')])
  expect(await python('GET', `/api/jobs?id=${id}`)).toEqual(
    answered(200, [{ id, status: 'success', result: { container: 'echo', output: { said: 1 } } }]),
  )
})

test('get_job_results: intermediate ones, failed ones, unknown ones, none', async () => {
  const chain = await requested('{"containers": ["echo", "upper"], "data": {}, "requires_proof": false}')
  const bad = await requested()
  const [first, second] = await runner.claim()
  await runner.report([chained(first!, { said: '{"a": 1}', output: '[2]' }), failure(second!, 'boom')])
  const waiting = await requested()
  const said = await python(
    'GET',
    `/api/jobs?id=${waiting}&id=unknown&id=${chain}&id=${bad}&intermediate=true`,
  )
  expect(said).toEqual(
    answered(200, [
      {
        id: chain,
        status: 'success',
        result: { container: 'upper', output: [2] },
        intermediate_results: [{ container: 'echo', output: { a: 1 } }],
      },
      { id: bad, status: 'failed', result: { container: 'echo', error: 'boom' }, intermediate_results: [] },
      { id: waiting, status: 'running', result: null, intermediate_results: [] },
    ]),
  )
  expect(await python('GET', '/api/jobs?id=')).toEqual(answered(200, []))
  await runner.report((await runner.claim()).map(claimed => success(claimed, 'null')))
})

test('request_jobs', async () => {
  const unknown = '{"containers": ["nope"], "data": {}, "requires_proof": false}'
  expect(await python('POST', '/api/jobs/batch', `[${job}, ${unknown}, ${job}]`)).toEqual(
    answered(200, [
      { id: expect.any(String) },
      { error: 'Container not supported', params: { container: 'nope' }, code: 'unsupported_container' },
      { id: expect.any(String) },
    ]),
  )
  expect(await python('POST', '/api/jobs/batch', '[]')).toEqual(answered(200, []))
  const claimed = await runner.claim()
  expect(claimed.map(item => item.data)).toEqual([data, data])
  await runner.report(claimed.map(item => success(item, 'null')))
})

test('get_jobs', async () => {
  const id = await requested()
  expect(await python('GET', '/api/jobs?pending=true')).toEqual(answered(200, [id]))
  const { body: completed } = await python('GET', '/api/jobs?pending=false')
  expect(completed).not.toContain(id)
  expect(await python('GET', '/api/jobs')).toEqual(answered(200, [id, ...(completed as string[])]))
  await runner.report((await runner.claim()).map(claimed => success(claimed, 'null')))
})

test('refusals: status outside 2xx, error and params of the reference', async () => {
  const refused = async (body: string) => {
    const { status, body: said } = await python('POST', '/api/jobs', body)
    const { error, params } = said as { error: string; params: unknown }
    return [status, error, params]
  }
  expect(await refused('{"containers": [], "data": {}}')).toEqual([400, 'No containers specified', {}])
  expect(await refused('{"containers": ["echo", "nope"], "data": {}}')).toEqual([
    422,
    'Container not supported',
    { container: 'nope' },
  ])
  expect(await refused('{"containers": ["inner"], "data": {}}')).toEqual([
    403,
    'First container must be external',
    { first_container: 'inner' },
  ])
  expect(await refused('{"containers": ["echo"], "data": {}, "requires_proof": true}')).toEqual([
    422,
    'Container does not generate proof',
    { container: 'echo' },
  ])
  expect(await refused('{"containers": ["echo", "shut"], "data": {}}')).toEqual([
    403,
    'Container not allowed for address',
    { container: 'shut', address: expect.any(String) },
  ])
})

test('request_stream, request_delegated_subscription: refused with an error that the client reads', async () => {
  // As the reference's client has sent it.
  const delegated = await readFile(new URL('python/delegated.txt', import.meta.url), 'utf8')
  expect(await python('POST', '/api/jobs/stream', delegated)).toMatchObject({
    status: 405,
    type: 'application/json',
    body: { error: 'Streaming only supported for OffchainJob requests.', params: {} },
  })
  expect(await python('POST', '/api/jobs', delegated)).toMatchObject({
    status: 501,
    body: { error: 'Chain not enabled', params: {} },
  })
})

test('record_status: refused from afar, JSON null for who may', async () => {
  const body = `{"id": "by-hand", "status": "success", ${job.slice(1)}`
  expect(await python('PUT', '/api/status', body)).toMatchObject({
    status: 403,
    body: { error: 'Unauthorized' },
  })
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${adminToken}` }
  const written = await edge.request('/api/status', { method: 'PUT', body, headers })
  expect([written.status, await written.text()]).toEqual([200, 'null'])
  expect(await python('GET', '/api/jobs?id=by-hand')).toEqual(
    answered(200, [{ id: 'by-hand', status: 'success', result: null }]),
  )
})
