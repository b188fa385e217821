import { Agent, type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http'
import { Agent as TlsAgent, request as tlsRequest } from 'node:https'

/** Called once; its iteration ends when the signal aborts. A piece is done with when the next one is asked for. */
export type Body = (signal: AbortSignal) => AsyncIterable<Uint8Array>

export type Poured = { status: number; date: string | undefined; text: string }

export type Pour = {
  /** Puts a body while it comes into being. @throws BrokenError, what the body throws, or the signal's reason. */
  put(request: {
    url: URL
    headers: Record<string, string>
    body: Body
    signal: AbortSignal
  }): Promise<Poured>
  close(): void
}

/** No answer to what was put. `stalled`: the other end is there, and takes or answers nothing. */
export class BrokenError extends Error {
  override readonly name = 'BrokenError'
  readonly stalled: boolean

  constructor(cause: unknown) {
    super('The connection broke', { cause })
    this.stalled = cause instanceof StallError
  }
}

class StallError extends Error {
  override readonly name = 'StallError'
}

export type PourOptions = {
  connectMs: number
  /** For the answer from the body's end on, and for the network to take anything of a body that it has not taken. */
  answerMs: number
}

/** What is read of an answer. */
const answerBytes = 64 * 1024

/**
 * Requests whose bodies are live. With Node's own client, since undici sends a request's head with the first byte of its body, and the
 * edge is to see it before.
 */
export function createPour({ connectMs, answerMs }: PourOptions): Pour {
  const plain = new Agent({ keepAlive: true })
  const tls = new TlsAgent({ keepAlive: true })

  function open(url: URL, headers: Record<string, string>): ClientRequest {
    const options = { method: 'PUT', headers: { ...headers, 'transfer-encoding': 'chunked' } }
    const secure = url.protocol === 'https:'
    const request = secure
      ? tlsRequest(url, { ...options, agent: tls })
      : httpRequest(url, { ...options, agent: plain })
    const connecting = createWatch(request, Error)
    connecting.allow(connectMs)
    request.once('close', connecting.rest)
    request.once('socket', socket => {
      if (socket.connecting) socket.once(secure ? 'secureConnect' : 'connect', connecting.rest)
      else connecting.rest()
    })
    return request
  }

  return {
    async put({ url, headers, body, signal }) {
      signal.throwIfAborted()
      const { promise, resolve, reject } = Promise.withResolvers<Poured>()
      const over = new AbortController()
      const request = open(url, headers)
      const watch = createWatch(request, StallError)
      const abort = () => reject(signal.reason)
      signal.addEventListener('abort', abort, { once: true })
      request.on('error', cause => reject(new BrokenError(cause)))
      request.on('response', response => {
        watch.allow(answerMs)
        textOf(response).then(
          text => resolve({ status: response.statusCode ?? 0, date: response.headers.date, text }),
          cause => reject(new BrokenError(cause)),
        )
      })
      request.flushHeaders()
      sendAll(request, body(over.signal), { watch, answerMs, until: over.signal }).catch(reject)
      let sent = false
      try {
        const poured = await promise
        sent = request.writableEnded
        return poured
      } finally {
        over.abort()
        watch.rest()
        signal.removeEventListener('abort', abort)
        // The connection of one that was answered early is in the middle of a body.
        if (!sent) request.destroy()
      }
    },
    close() {
      plain.destroy()
      tls.destroy()
    },
  }
}

type Watch = {
  /** Gives the request up after so long, unless it is told otherwise before. */
  allow(ms: number): void
  rest(): void
}

function createWatch(request: ClientRequest, Late: new (message: string) => Error): Watch {
  let timer: NodeJS.Timeout | undefined
  const rest = () => clearTimeout(timer)

  return {
    allow(ms) {
      rest()
      timer = setTimeout(() => request.destroy(new Late(`Nothing happened for ${ms} ms`)), ms)
    },
    rest,
  }
}

type Sending = { watch: Watch; answerMs: number; until: AbortSignal }

async function sendAll(
  request: ClientRequest,
  body: AsyncIterable<Uint8Array>,
  { watch, answerMs, until }: Sending,
): Promise<void> {
  for await (const piece of body) {
    if (until.aborted || request.destroyed) return
    watch.allow(answerMs)
    await write(request, piece)
    watch.rest()
  }
  if (until.aborted) return
  watch.allow(answerMs)
  request.end()
}

/** Resolves when the network has taken it all, or the request is over: then nobody reads the piece any more. */
function write(request: ClientRequest, piece: Uint8Array): Promise<void> {
  return new Promise(resolve => {
    const done = () => {
      request.off('close', done)
      resolve()
    }
    request.on('close', done)
    request.write(piece, done)
  })
}

async function textOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > answerBytes) throw new Error(`It is longer than ${answerBytes} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}
