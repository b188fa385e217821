import OpenAI from 'openai'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { chat } from '../../src/local/containers/examples.ts'
import { installPackages } from '../../src/local/containers/packages.ts'
import { type ContainerProcess, startProcess } from '../../src/local/containers/process.ts'
import { withWeights } from '../../src/local/containers/weights.ts'

const settings = { CHAT_AT_ONCE: '2', CHAT_WAITING: '2', CHAT_CONTEXT: '65536' }
/** Random weights never end a greedy answer: it goes on until the context is full, which takes minutes. */
const endless = { temperature: 0, max_tokens: 65_000 }

let container: ContainerProcess
const output: string[] = []
beforeAll(async () => {
  await installPackages(chat, console.log)
  container = await startProcess(await withWeights(chat, console.log), line => output.push(line), settings)
}, 180_000)
afterAll(() => container?.close())

type Opened = { response: Response; leave: AbortController }

/** Held until they are left: of a response that is garbage `fetch` breaks off the body. */
const opened: Opened[] = []
afterEach(async () => {
  for (const { leave } of opened.splice(0)) leave.abort()
  await vi.waitFor(async () => expect(await health()).toMatchObject({ running: 0, waiting: 0 }), 5_000)
})

async function health(): Promise<unknown> {
  return await (await fetch(`${container.url}/health`)).json()
}

function send(
  body: unknown,
  { destination = 1, signal }: { destination?: number; signal?: AbortSignal } = {},
) {
  return fetch(`${container.url}/service_output`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body:
      typeof body === 'string'
        ? body
        : JSON.stringify({ source: 1, destination, data: body, requires_proof: false }),
    ...(signal && { signal }),
  })
}

type Answer = { text: string; tokens: number; model: string }

async function answer(data: unknown): Promise<Answer> {
  return (await (await send(data)).json()) as Answer
}

/** A stream that this test leaves at its end, if not before. */
async function open(data: object): Promise<Opened> {
  const leave = new AbortController()
  const one = { response: await send(data, { destination: 2, signal: leave.signal }), leave }
  opened.push(one)
  return one
}

describe('JSON', () => {
  test('default', async () => {
    const response = await send({ prompt: 'Hello', max_tokens: 20, seed: 7 })
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toBe('application/json')
    const body = (await response.json()) as Answer
    expect(body).toEqual({ text: expect.any(String), tokens: 20, model: 'tiny-random' })
    expect(body.text.trim()).not.toBe('')
  })

  test('behavior: a prompt is a message of the user', async () => {
    const options = { max_tokens: 20, seed: 7 }
    const messages = [{ role: 'user', content: 'Hello' }]
    expect(await answer({ messages, ...options })).toEqual(await answer({ prompt: 'Hello', ...options }))
  })

  test('behavior: what was said before matters', async () => {
    const last = { role: 'user', content: 'And then?' }
    const before = [
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'Tell me of the sea.' },
      { role: 'assistant', content: 'It is wide.' },
    ]
    const options = { max_tokens: 20, temperature: 0 }
    const { text } = await answer({ messages: [...before, last], ...options })
    expect(text).not.toBe((await answer({ messages: [last], ...options })).text)
  })

  test('behavior: a seed gives the same text, whoever else is served', async () => {
    const asked = { prompt: 'Tell me', max_tokens: 100, temperature: 1.5, seed: 42 }
    const alone = await answer(asked)
    expect(await answer({ ...asked, seed: 43 })).not.toEqual(alone)
    await open({ prompt: 'Hello', ...endless })
    expect(await answer(asked)).toEqual(alone)
  })

  test('behavior: without a seed texts differ', async () => {
    const asked = { prompt: 'Tell me', max_tokens: 50, temperature: 1.5 }
    expect((await answer(asked)).text).not.toBe((await answer(asked)).text)
  })
})

describe('stream', () => {
  test('default', async () => {
    const asked = { prompt: 'Hello', max_tokens: 200, temperature: 0 }
    const { response } = await open(asked)
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toBe('text/plain; charset=utf-8')
    expect(response.headers.get('content-length')).toBeNull()
    expect(await response.text()).toBe((await answer(asked)).text)
  })

  test('behavior: text comes while more is generated', async () => {
    const { response } = await open({ prompt: 'Hello', ...endless })
    const reader = response.body?.getReader()
    const times: number[] = []
    for (let chunk = 0; chunk < 20; chunk++) {
      expect((await reader?.read())?.done).toBe(false)
      times.push(performance.now())
    }
    expect(await health()).toMatchObject({ running: 1 })
    expect(times.at(-1)).toBeGreaterThan(times[0] ?? 0)
  })

  test('behavior: the headers come before a slot is free', async () => {
    const first = await open({ prompt: 'Hello', ...endless })
    await open({ prompt: 'Hello', ...endless })
    const { response } = await open({ prompt: 'Hello', max_tokens: 5, seed: 1 })
    expect(response.status).toBe(200)
    expect(await health()).toMatchObject({ running: 2, waiting: 1 })
    first.leave.abort()
    expect(await response.text()).not.toBe('')
  })

  test('behavior: a client that leaves ends its generation', async () => {
    const { response, leave } = await open({ prompt: 'Hello', ...endless })
    await response.body?.getReader().read()
    leave.abort()
    await vi.waitFor(async () => expect(await health()).toMatchObject({ running: 0 }), 1_000)
  })

  test('behavior: a client that leaves while its prompt is read', async () => {
    const { leave } = await open({ prompt: 'the sea and the light '.repeat(400), max_tokens: 4000 })
    leave.abort()
    await vi.waitFor(async () => expect(await health()).toMatchObject({ running: 0 }), 1_000)
  })

  test('behavior: a client that reads nothing holds no slot', async () => {
    await open({ prompt: 'Hello', max_tokens: 500, temperature: 0 })
    await vi.waitFor(async () => expect(await health()).toMatchObject({ running: 0 }), 10_000)
  })
})

describe('at once', () => {
  test('default: two are served, two wait, one more is refused', async () => {
    for (let count = 0; count < 4; count++) await open({ prompt: 'Hello', ...endless })
    await vi.waitFor(async () => expect(await health()).toMatchObject({ running: 2, waiting: 2 }), 5_000)
    for (const destination of [1, 2]) {
      const refused = await send({ prompt: 'Hello' }, { destination })
      expect(refused.status).toBe(503)
      expect(refused.headers.get('retry-after')).toBe('1')
      expect(await refused.json()).toEqual({
        code: '503',
        name: 'Service Unavailable',
        description: '2 requests are already waiting; try again later',
      })
    }
  })

  test('behavior: who leaves gives a place up', async () => {
    for (let count = 0; count < 4; count++) await open({ prompt: 'Hello', ...endless })
    opened[2]?.leave.abort()
    await vi.waitFor(async () => expect(await health()).toMatchObject({ running: 2, waiting: 1 }), 1_000)
    opened[0]?.leave.abort()
    await vi.waitFor(async () => expect(await health()).toMatchObject({ running: 2, waiting: 0 }), 1_000)
    expect((await opened[3]?.response.body?.getReader().read())?.done).toBe(false)
  })
})

describe('refusals', () => {
  const user = { role: 'user', content: 'Hello' }
  const cases: [string, unknown, string][] = [
    ['neither prompt nor messages', {}, 'missing'],
    ['an empty prompt', { prompt: ' ' }, 'missing'],
    ['a prompt that is no text', { prompt: 7 }, 'missing'],
    ['prompt and messages', { prompt: 'Hello', messages: [user] }, 'not both'],
    ['no messages', { messages: [] }, 'at least one'],
    ['messages that are no list', { messages: user }, 'must be a list'],
    ['too many messages', { messages: Array(257).fill(user) }, 'at most 256'],
    ['an unknown role', { messages: [{ role: 'toString', content: 'Hello' }] }, 'messages[0].role'],
    ['a message that is null', { messages: [user, null] }, 'messages[1].role'],
    ['content that is no text', { messages: [{ role: 'user', content: [{ type: 'image' }] }] }, 'content'],
    ['an answer last', { messages: [user, { role: 'assistant', content: 'Hi' }] }, 'last message'],
    ['max_tokens of 0', { prompt: 'Hello', max_tokens: 0 }, 'max_tokens'],
    ['max_tokens that is no number', { prompt: 'Hello', max_tokens: '5' }, 'max_tokens'],
    ['a temperature of 3', { prompt: 'Hello', temperature: 3 }, 'temperature'],
    ['a seed that is not whole', { prompt: 'Hello', seed: 1.5 }, 'seed'],
    ['more than fits', { prompt: 'word '.repeat(50_000) }, '65535 fit'],
  ]
  test.each(cases)('behavior: %s', async (_name, data, description) => {
    for (const destination of [1, 2]) {
      const response = await send(data, { destination })
      expect(response.status).toBe(400)
      expect(await response.json()).toEqual({
        code: '400',
        name: 'Bad Request',
        description: expect.stringContaining(description),
      })
    }
  })

  test.each([
    ['not JSON', '{', 400],
    ['not an object', '[]', 400],
    ['no data', '{}', 400],
    ['on-chain input', '{"source":0,"data":"c0ffee"}', 400],
    ['a proof', '{"data":{"prompt":"Hello"},"requires_proof":true}', 400],
    ['more than 1 MiB', `"${'x'.repeat(2 ** 20)}"`, 413],
  ])('behavior: a body with %s', async (_name, body, status) => {
    const response = await send(body)
    expect(response.status).toBe(status)
    expect(await response.json()).toMatchObject({ code: String(status) })
  })
})

describe('OpenAI', () => {
  const client = () => new OpenAI({ baseURL: `${container.url}/v1`, apiKey: 'none', maxRetries: 0 })
  const messages = [{ role: 'user' as const, content: 'Hello' }]
  const asked = { model: 'tiny-random', messages, max_tokens: 30, seed: 5 }

  test('default', async () => {
    const completion = await client().chat.completions.create(asked)
    expect(completion).toMatchObject({
      object: 'chat.completion',
      model: 'tiny-random',
      choices: [{ index: 0, finish_reason: 'length', message: { role: 'assistant' } }],
      usage: { completion_tokens: 30 },
    })
    const { text } = await answer({ messages, max_tokens: 30, seed: 5 })
    expect(completion.choices[0]?.message.content).toBe(text)
    const { prompt_tokens: prompt = 0, total_tokens: total } = completion.usage ?? {}
    expect(total).toBe(prompt + 30)
  })

  test('behavior: streamed', async () => {
    const stream = await client().chat.completions.create({
      ...asked,
      stream: true,
      stream_options: { include_usage: true },
    })
    const chunks: OpenAI.ChatCompletionChunk[] = []
    for await (const chunk of stream) chunks.push(chunk)
    const whole = await client().chat.completions.create(asked)
    expect(chunks[0]?.choices[0]?.delta).toEqual({ role: 'assistant', content: '' })
    expect(chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join('')).toBe(
      whole.choices[0]?.message.content,
    )
    expect(chunks.length).toBeGreaterThan(20)
    expect(new Set(chunks.map(({ id }) => id)).size).toBe(1)
    expect(chunks.at(-2)?.choices[0]?.finish_reason).toBe('length')
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: whole.usage })
  })

  test('behavior: as it is on the wire', async () => {
    const response = await fetch(`${container.url}/v1/chat/completions`, {
      method: 'POST',
      body: JSON.stringify({ ...asked, stream: true }),
    })
    expect(response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8')
    const events = (await response.text()).split('\n\n')
    expect(events.slice(-2)).toEqual(['data: [DONE]', ''])
    expect(events.slice(0, -2).every(event => event.startsWith('data: {'))).toBe(true)
  })

  test('behavior: a client that leaves ends its generation', async () => {
    const stream = await client().chat.completions.create({ ...asked, ...endless, stream: true })
    for await (const chunk of stream) if (chunk.choices[0]?.delta.content) break
    await vi.waitFor(async () => expect(await health()).toMatchObject({ running: 0 }), 1_000)
  })

  test('behavior: the model may end by itself', async () => {
    const reasons: (string | undefined)[] = []
    for (let seed = 0; seed < 20 && !reasons.includes('stop'); seed++) {
      const options = { temperature: 2, top_p: 1, max_completion_tokens: 2000, seed }
      const { choices } = await client().chat.completions.create({ model: 'x', messages, ...options })
      reasons.push(choices[0]?.finish_reason)
    }
    expect(reasons).toContain('stop')
  })

  test('behavior: markers in a message are text', async () => {
    const count = async (content: string) => {
      const options = { ...asked, messages: [{ role: 'user' as const, content }], max_tokens: 1 }
      return (await client().chat.completions.create(options)).usage?.prompt_tokens ?? 0
    }
    expect(await count('a<|im_end|>')).toBeGreaterThan((await count('a')) + 3)
  })

  test('behavior: models', async () => {
    const { data } = await client().models.list()
    expect(data).toMatchObject([{ id: 'tiny-random', object: 'model', owned_by: 'local' }])
  })

  test('behavior: refusals', async () => {
    const create = (body: object) => client().chat.completions.create({ ...asked, ...body })
    await expect(create({ messages: [] })).rejects.toThrow('400 messages must be a list')
    await expect(create({ messages: undefined })).rejects.toThrow('400 messages is missing')
    await expect(create({ n: 2 })).rejects.toThrow('400 n must be 1')
    await expect(create({ stop: '.' })).rejects.toThrow('400 stop is not supported')
    await expect(create({ tools: [{ type: 'function' }] })).rejects.toThrow('400 tools are not supported')
    await expect(create({ response_format: { type: 'json_object' } })).rejects.toThrow('400 response_format')
    await expect(create({ logprobs: true })).rejects.toBeInstanceOf(OpenAI.BadRequestError)
  })
})

describe('other routes', () => {
  test('default', async () => {
    const get = async (path: string) => {
      const response = await fetch(container.url + path)
      return [response.status, await response.json()]
    }
    expect(await get('/health')).toEqual([
      200,
      { status: 'healthy', model: 'tiny-random', running: 0, waiting: 0 },
    ])
    expect(await get('/service-resources')).toMatchObject([
      200,
      { service_id: 'chat', compute_capability: [{ id: 'ml', models: ['local/tiny-random'] }] },
    ])
    expect(await get('/service-resources?model_id=other')).toMatchObject([200, { supported: false }])
    expect(await get('/service-resources?model_id=local/tiny-random')).toEqual([200, { supported: true }])
    expect(await get('/')).toMatchObject([200, {}])
    expect(await get('/none')).toMatchObject([404, { code: '404' }])
    expect(await get('/service_output')).toMatchObject([405, { code: '405' }])
    expect(await get('/v1/none')).toMatchObject([404, { error: { type: 'invalid_request_error' } }])
  })

  test('behavior: says which model it is, and nothing of its own', () => {
    expect(output).toEqual([
      expect.stringMatching(/^chat: listening on \d+$/),
      expect.stringMatching(/^chat: tiny-random loaded in \d+ ms$/),
    ])
  })
})
