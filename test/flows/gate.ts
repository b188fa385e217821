import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A message that passes: a request, or the answer to one. `asked` is the request's body in both. */
export type Message = { method: string; path: string; asked: string; body: string }

export type Hold = {
  /** Resolves when so many messages are held. */
  reached(count?: number): Promise<void>
  /** Lets through what is held and what comes later. */
  release(): void
}

/** Stands between a program and a server, and holds, swallows or counts the messages between them. A side that dies is seen by the other. */
export type Gate = {
  url: string
  /** Where it leads. Until told, every connection breaks. */
  leadTo(url: string): void
  /** `request`: the server has not got it. `answer`: the server has done it, and nobody is told. */
  hold(at: 'request' | 'answer', matches: (message: Message) => boolean): Hold
  /** Breaks the connection of the next answers that match, so many. @returns how many are still to come. */
  swallow(count: number, matches: (answer: Message) => boolean): () => number
  /** Requests that have come, in order. */
  requests: readonly { method: string; path: string }[]
  /** Nothing is held or swallowed any more. */
  clear(): void
  /** Breaks every connection, as the server's death does, and forgets what is held. */
  cut(): void
  close(): void
}

type HoldState = {
  at: 'request' | 'answer'
  matches: (message: Message) => boolean
  held: number
  changed: () => void
  released: Promise<void>
  release: () => void
}

function isStream(path: string): boolean {
  return /^\/runner\/jobs\/[^/]+\/stream\?/.test(path)
}

export async function startGate(): Promise<Gate> {
  let target: string | null = null
  const holds = new Set<HoldState>()
  const swallows = new Set<{ left: number; matches: (answer: Message) => boolean }>()
  const requests: { method: string; path: string }[] = []
  // A connection for each request: none is left over from a server that has died since.
  const agent = new Agent({ keepAlive: false })

  async function pass(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const { method = '', url: path = '/' } = incoming
    if (isStream(path)) return passOn(incoming, outgoing)
    const broken = new Promise<void>(resolve => outgoing.once('close', resolve))
    const body = await readAll(incoming)
    const asked = body.toString('latin1')
    requests.push({ method, path })
    await whileHeld('request', { message: { method, path, asked, body: asked }, broken })
    if (outgoing.destroyed || target === null) return void outgoing.destroy()

    const answer = await ask(new URL(path, target), { incoming, body, broken })
    const text = await readAll(answer)
    const answered = { method, path, asked, body: text.toString('latin1') }
    await whileHeld('answer', { message: answered, broken })
    if (isSwallowed(answered)) return void outgoing.destroy()
    outgoing.writeHead(answer.statusCode ?? 500, ownHeaders(answer, text.byteLength))
    outgoing.end(text)
  }

  /** What is a stream goes through as it comes: nothing of it can be held. */
  function passOn(incoming: IncomingMessage, outgoing: ServerResponse): void {
    if (target === null) return void outgoing.destroy()
    const { method, headers, url: path = '/' } = incoming
    requests.push({ method: method ?? '', path })
    const onward = request(new URL(path, target), { method, headers, agent }, answer => {
      outgoing.writeHead(answer.statusCode ?? 500, answer.headers)
      answer.pipe(outgoing)
    })
    onward.on('error', () => outgoing.destroy())
    outgoing.on('close', () => onward.destroy())
    incoming.pipe(onward)
  }

  async function whileHeld(
    at: HoldState['at'],
    { message, broken }: { message: Message; broken: Promise<void> },
  ): Promise<void> {
    const passed = new Set<HoldState>()
    for (;;) {
      const hold = [...holds].find(one => !passed.has(one) && one.at === at && one.matches(message))
      if (hold === undefined) return
      passed.add(hold)
      hold.held += 1
      hold.changed()
      await Promise.race([hold.released, broken])
      hold.held -= 1
    }
  }

  function isSwallowed(answer: Message): boolean {
    const one = [...swallows].find(({ left, matches }) => left > 0 && matches(answer))
    if (one) one.left -= 1
    return one !== undefined
  }

  function ask(
    url: URL,
    { incoming, body, broken }: { incoming: IncomingMessage; body: Buffer; broken: Promise<void> },
  ): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const { connection: _, ...headers } = incoming.headers
      const onward = request(url, { method: incoming.method, headers, agent }, resolve)
      onward.once('error', reject)
      let answered = false
      onward.once('response', answer => answer.once('end', () => (answered = true)))
      void broken.then(() => {
        // workerd takes a mere end of the connection for a client that has no more to say. A reset of one that is ending leaks it.
        if (!answered) onward.socket?.resetAndDestroy()
      })
      onward.end(body)
    })
  }

  const server = createServer((incoming, outgoing) => {
    outgoing.on('error', () => {})
    pass(incoming, outgoing).catch(() => outgoing.destroy())
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    leadTo(url) {
      target = url
    },
    hold(at, matches) {
      const released = Promise.withResolvers<void>()
      const waiting = new Set<() => void>()
      const state: HoldState = {
        at,
        matches,
        held: 0,
        changed() {
          for (const look of waiting) look()
        },
        released: released.promise,
        release: released.resolve,
      }
      holds.add(state)
      return {
        reached: (count = 1) =>
          new Promise(resolve => {
            const look = () => {
              if (state.held >= count) resolve()
            }
            waiting.add(look)
            look()
          }),
        release() {
          holds.delete(state)
          released.resolve()
        },
      }
    },
    swallow(count, matches) {
      const state = { left: count, matches }
      swallows.add(state)
      return () => state.left
    },
    requests,
    clear() {
      for (const { release } of holds) release()
      holds.clear()
      swallows.clear()
    },
    cut: () => server.closeAllConnections(),
    close() {
      server.close()
      server.closeAllConnections()
      agent.destroy()
    },
  }
}

function ownHeaders({ headers }: IncomingMessage, length: number): Record<string, string | string[]> {
  const { connection: _, 'transfer-encoding': __, 'keep-alive': ___, ...kept } = headers
  return { ...(kept as Record<string, string | string[]>), 'content-length': String(length) }
}

async function readAll(stream: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}
