import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import { sql } from 'drizzle-orm'
import OpenAI from 'openai'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { ClaimedJob, ReportedResult } from '../../src/protocol/runner.ts'
import { startTestEdge, type TestEdge } from '../support/edge.ts'
import { policyOf, startTestRunner, success, type TestRunner } from '../support/runner.ts'
import { openUpload, streamed } from '../support/stream.ts'

let edge: TestEdge
let runner: TestRunner
let openai: OpenAI

beforeAll(async () => {
  edge = await startTestEdge()
  runner = await startTestRunner(edge, [
    policyOf('chat', { openai: true }),
    policyOf('inner', { openai: true, external: false }),
    policyOf('plain'),
  ])
  openai = new OpenAI({ baseURL: `${edge.url}/v1`, apiKey: 'none', maxRetries: 0 })
})
afterAll(async () => await edge[Symbol.asyncDispose]())
beforeEach(async () => await edge.db.orm.run('delete from jobs'))

const messages = [{ role: 'user' as const, content: 'Hi' }]

async function claim(): Promise<ClaimedJob> {
  const [job] = await runner.claim({ wait_ms: 5_000 })
  if (!job) throw new Error('Nothing to claim')
  return job
}

function chunk(content: string): string {
  const choices = [{ index: 0, delta: { content }, finish_reason: null }]
  return `data: ${JSON.stringify({ id: 'x', object: 'chat.completion.chunk', created: 1, model: 'chat', choices })}\n\n`
}

function failed({ id, attempt }: ClaimedJob, code: string, error: string): ReportedResult {
  const result = { text: JSON.stringify({ container: 'chat', error, code }) }
  return { id, attempt, status: 'failed', error_code: code, result, intermediate: null, stream: null }
}

test('default: an answer in one piece, as the container gives it', async () => {
  const asked = openai.chat.completions.create({ model: 'chat', messages, temperature: 0.5 })
  const job = await claim()
  expect(job).toMatchObject({ endpoint: 'openai', destination: 1 })
  expect(JSON.parse(job.data ?? '')).toEqual({ model: 'chat', messages, temperature: 0.5 })
  const completion = {
    id: 'x',
    object: 'chat.completion',
    choices: [{ message: { content: 'Hello' } }],
    big: 1e21,
  }
  await runner.report([success(job, JSON.stringify(completion))])
  expect(await asked).toEqual(completion)
})

test('default: a stream, as the container gives it', async () => {
  const asked = openai.chat.completions.create({ model: 'chat', messages, stream: true })
  const job = await claim()
  expect(job).toMatchObject({ endpoint: 'openai', destination: 2 })
  const upload = await openUpload(runner, edge, { ...job, from: 0 })
  upload.write(chunk('Hel'))
  const reading = (await asked)[Symbol.asyncIterator]()
  expect((await reading.next()).value?.choices[0]?.delta.content).toBe('Hel')
  upload.write(chunk('lo'))
  expect((await reading.next()).value?.choices[0]?.delta.content).toBe('lo')
  upload.write('data: [DONE]\n\n')
  const { body } = await upload.end()
  await runner.report([streamed(job, { bytes: body.have })])
  expect((await reading.next()).done).toBe(true)
})

test.each([true, false])('behavior: the same key is the same answer: streamed %s', async stream => {
  const ask = async () =>
    await edge.request('/v1/chat/completions', {
      method: 'POST',
      headers: { 'idempotency-key': `once-${stream}` },
      body: JSON.stringify({ model: 'chat', messages, stream }),
    })
  const first = ask()
  const job = await claim()
  const said = stream ? chunk('Hello') : '{"object":"chat.completion"}'
  if (stream) {
    const upload = await openUpload(runner, edge, { ...job, from: 0 })
    upload.write(said)
    await runner.report([streamed(job, { bytes: (await upload.end()).body.have })])
  } else await runner.report([success(job, said)])
  expect(await (await first).text()).toBe(said)
  const again = await ask()
  expect(again.headers.get('infernet-job')).toBe(job.id)
  expect(await again.text()).toBe(said)
  expect(await runner.claim()).toEqual([])
})

/** A chat whose client leaves with a reset, which every host notices. */
function begin({ stream, headers = {} }: { stream: boolean; headers?: Record<string, string> }) {
  const request = httpRequest(new URL('/v1/chat/completions', edge.url), {
    method: 'POST',
    agent: false,
    headers,
  })
  const answered = once(request, 'response')
  answered.catch(() => undefined)
  request.end(JSON.stringify({ model: 'chat', messages, stream }))
  return { answered, leave: () => void request.socket?.resetAndDestroy() }
}

test.each([true, false])(
  'behavior: whoever leaves a request with a key comes back to its job: streamed %s',
  async stream => {
    const headers = { 'idempotency-key': `left-${stream}` }
    const first = begin({ stream, headers })
    const job = await claim()
    const upload = stream ? await openUpload(runner, edge, { ...job, from: 0 }) : null
    upload?.write(chunk('Hel'))
    if (stream) await first.answered
    const unkeyed = begin({ stream: false })
    const others = async () =>
      (await edge.db.orm.all<{ state: string }>(sql`select state from jobs where id <> ${job.id}`))[0]?.state
    await expect.poll(others).toBe('queued')
    first.leave()
    unkeyed.leave()
    // Where this has been noticed, so has that.
    await expect.poll(others).toBe('cancelled')
    const again = edge.request('/v1/chat/completions', {
      method: 'POST',
      headers,
      body: JSON.stringify({ model: 'chat', messages, stream }),
    })
    if (upload) {
      const terms = await edge.db.orm.all(sql`select unread_ms from jobs where id = ${job.id}`)
      expect(terms).toEqual([{ unread_ms: 60_000 }])
      upload.write(chunk('lo'))
      await runner.report([streamed(job, { bytes: (await upload.end()).body.have })])
    } else await runner.report([success(job, '{}')])
    const answer = await again
    expect(answer.headers.get('infernet-job')).toBe(job.id)
    expect(await answer.text()).toBe(stream ? chunk('Hel') + chunk('lo') : '{}')
  },
)

test('default: models are the containers that declare it, and are open', async () => {
  const { data } = await openai.models.list()
  expect(data.map(({ id }) => id)).toEqual(['chat'])
})

test.each(['nobody', 'plain'])('error: no such model: %s', async model => {
  const asked = openai.chat.completions.create({ model, messages })
  await expect(asked).rejects.toMatchObject({ status: 404, code: 'model_not_found' })
})

test('error: a container that is not open', async () => {
  const asked = openai.chat.completions.create({ model: 'inner', messages })
  await expect(asked).rejects.toMatchObject({ status: 403, code: 'not_external' })
})

test.each([
  ['{"model":', 'Malformed JSON'],
  ['[]', 'The body'],
  ['{"messages":[]}', 'model'],
  ['{"model":"chat","stream":"yes"}', 'stream'],
])('error: a body that is no request: %s', async (body, message) => {
  const response = await edge.request('/v1/chat/completions', { method: 'POST', body })
  expect(response.status).toBe(400)
  const { error } = (await response.json()) as { error: { message: string; type: string } }
  expect(error.message).toContain(message)
  expect(error.type).toBe('invalid_request_error')
})

test.each([
  ['/v1/nothing', 404, 'not_found'],
  ['/v1/chat/completions', 405, 'method_not_allowed'],
])('error: what is no request of a chat has their shape too: GET %s', async (path, status, code) => {
  const response = await edge.request(path)
  expect(response.status).toBe(status)
  const error = { message: expect.any(String), type: 'invalid_request_error', param: null, code }
  expect(await response.json()).toEqual({ error })
})

test('error: what the container refuses is the client’s, before anything is streamed', async () => {
  const asked = openai.chat.completions.create({ model: 'chat', messages, stream: true })
  await runner.report([failed(await claim(), 'http_error', "400, message='Bad Request', url=URL('x')\nno")])
  await expect(asked).rejects.toMatchObject({ status: 400, code: 'http_error' })
})

test.each([
  ['between two events', ''],
  ['in the middle of one', chunk('lo').slice(0, 40)],
  ['within the end of one', chunk('lo').slice(0, -1)],
])('error: what fails %s is said in the stream', async (_where, rest) => {
  const asked = openai.chat.completions.create({ model: 'chat', messages, stream: true })
  const job = await claim()
  const upload = await openUpload(runner, edge, { ...job, from: 0 })
  upload.write(chunk('Hel') + rest)
  const { body } = await upload.end()
  const reading = (await asked)[Symbol.asyncIterator]()
  expect((await reading.next()).value?.choices[0]?.delta.content).toBe('Hel')
  await runner.report([
    { ...failed(job, 'connection_lost', 'Server disconnected'), stream: { bytes: body.have, utf8: true } },
  ])
  const error = { code: 'connection_lost', message: expect.stringContaining('Server disconnected') }
  await expect(reading.next()).rejects.toMatchObject(error)
})

// Bare workerd does not notice a connection that is only half closed until it writes.
test.each(process.env.EDGE_HOST === undefined ? [true] : [true, false])(
  'behavior: leaving cancels the job: streamed %s',
  async stream => {
    const leaving = new AbortController()
    const asked = openai.chat.completions.create(
      { model: 'chat', messages, stream },
      { signal: leaving.signal },
    )
    const job = await claim()
    const upload = stream ? await openUpload(runner, edge, { ...job, from: 0 }) : null
    upload?.write(chunk('Hel'))
    if (stream) await asked
    leaving.abort()
    await asked.catch(() => undefined)
    const state = async () =>
      ((await (await edge.request(`/api/jobs/${job.id}`)).json()) as { state: string }).state
    await expect
      .poll(async () => {
        upload?.write(chunk('more'))
        return await state()
      })
      .toBe('cancelled')
    upload?.destroy()
  },
)
