import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { afterEach, describe, expect, test } from 'vitest'
import { streamDemo } from '../../src/local/demo-chat.ts'
import { createSteps } from '../../src/local/steps.ts'

const cleanups: (() => unknown)[] = []
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup()
})

/** An edge of which only what the demo asks exists; `answer` writes the stream. */
async function setup(answer: (response: ServerResponse) => unknown) {
  const bodies: unknown[] = []
  const server = createServer(async (request, response) => {
    if (request.url === '/info') {
      const containers = [{ id: 'chat', description: 'Answers in a chat (tiny-random, CPU)' }]
      response.end(JSON.stringify({ containers }))
      return
    }
    bodies.push([request.method, request.url, JSON.parse(await text(request))])
    answer(response)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  cleanups.push(() => {
    server.closeAllConnections()
    server.close()
  })
  const lines: string[] = []
  const written: string[] = []
  let onWrite = () => {}
  const run = () =>
    streamDemo({
      url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      steps: createSteps(
        line => lines.push(line),
        () => 0,
      ),
      write: piece => {
        written.push(piece)
        onWrite()
      },
    })
  const firstWrite = new Promise<void>(resolve => {
    onWrite = resolve
  })
  return { run, bodies, lines, written, firstWrite }
}

describe('streamDemo', () => {
  test('default', async () => {
    const { run, bodies, lines, written } = await setup(response => response.end('job-1\nThe sea.\nBlue.'))
    await run()
    expect(bodies).toEqual([
      [
        'POST',
        '/api/jobs/stream',
        {
          containers: ['chat'],
          data: {
            messages: [{ role: 'user', content: 'Write one sentence about the sea.' }],
            max_tokens: 64,
          },
        },
      ],
    ])
    expect(written.join('')).toBe('          The sea.\n          Blue.\n')
    expect(lines).toEqual([
      '          Answers in a chat (tiny-random, CPU): Write one sentence about the sea.',
      expect.stringMatching(
        /^ {2}0\.00 s {2}answer streamed: POST \/api\/jobs\/stream, the first of it after \d+ ms -> job-1$/,
      ),
    ])
  })

  test('behavior: shows what is there before the end', async () => {
    const { promise: shown, resolve } = Promise.withResolvers<void>()
    const { run, written, firstWrite } = await setup(async response => {
      response.write('job')
      response.write('-1\nThe ')
      await shown
      response.end('s\u00e9a.')
    })
    const done = run()
    await firstWrite
    resolve()
    await done
    expect(written.join('')).toBe('          The s\u00e9a.\n')
  })

  test('behavior: an empty answer', async () => {
    const { run } = await setup(response => response.end('job-1\n'))
    await expect(run()).rejects.toThrow('The model said nothing.')
  })

  test('behavior: an answer that is broken off', async () => {
    const { run } = await setup(async response => {
      response.write('job-1\nThe', () => setTimeout(() => response.destroy(), 20))
    })
    await expect(run()).rejects.toThrow()
  })

  test('behavior: a refusal', async () => {
    const { run } = await setup(response => response.writeHead(503).end('busy'))
    await expect(run()).rejects.toThrow('The stream was refused: 503 busy')
  })
})
