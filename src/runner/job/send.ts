import { Readable } from 'node:stream'
import type { Agent, Dispatcher } from 'undici'
import { bytesOf, type Rope, readRope, textOf } from '../rope.ts'
import { version } from '../version.ts'
import { discard } from './reply.ts'

export type Sent = { url: URL; response: Dispatcher.ResponseData }

export type SendOptions = {
  agent: Agent
  url: URL
  bearer: string
  body: Rope
  accept?: string | undefined
  signal: AbortSignal
}

const maxRedirects = 10
const redirects = new Set([301, 302, 303, 307, 308])

/** A container sent us elsewhere. What this host can reach is not a container's to choose: it may be an internal network. */
export class RedirectError extends Error {
  override readonly name = 'RedirectError'
}

const anything = '*/*'

/** As `send`; a container that has not the type that is wished for is asked for what it has. Nothing has been computed then. */
export async function sendWished(options: SendOptions): Promise<Sent> {
  const sent = await send(options)
  if (options.accept === undefined || sent.response.statusCode !== 406) return sent
  discard(sent.response.body)
  return await send({ ...options, accept: undefined })
}

/**
 * Posts a job to a container and follows redirects within its origin as the reference's HTTP client does: 301, 302 and 303 become
 * a GET without a body, 307 and 308 repeat the request.
 * @throws RedirectError on one that leaves the origin.
 */
export async function send({
  agent,
  url,
  bearer,
  body,
  accept = anything,
  signal,
}: SendOptions): Promise<Sent> {
  let hop: Hop = { url, method: 'POST', bearer, accept, body }
  for (let followed = 0; ; followed++) {
    const response = await request(agent, hop, signal)
    const next = followed < maxRedirects ? redirectOf(hop, response) : null
    if (next === null) return { url: hop.url, response }
    discard(response.body)
    if (next.url.origin !== url.origin)
      throw new RedirectError(
        `The container redirects to ${next.url.origin}; redirects are followed within ${url.origin} only`,
      )
    hop = next
  }
}

type Hop = { url: URL; method: 'POST' | 'GET'; bearer: string; accept: string; body: Rope | null }

function request(
  agent: Agent,
  { url, method, bearer, accept, body }: Hop,
  signal: AbortSignal,
): Promise<Dispatcher.ResponseData> {
  const text = body === null ? null : textOf(body)
  return agent.request({
    origin: url.origin,
    path: url.pathname + url.search,
    method,
    headers: {
      accept,
      'user-agent': `infernet-runner/${version}`,
      ...(body !== null && { 'content-type': 'application/json' }),
      ...(bearer !== '' && { authorization: `Bearer ${bearer}` }),
      ...(body !== null && text === null && { 'content-length': String(bytesOf(body)) }),
    },
    body:
      body === null || text !== null ? text : Readable.from(readRope(body, signal), { objectMode: false }),
    signal,
  })
}

function redirectOf(
  { url, method, bearer, accept, body }: Hop,
  { statusCode, headers }: Dispatcher.ResponseData,
): Hop | null {
  const location = Array.isArray(headers.location) ? headers.location[0] : headers.location
  const target = redirects.has(statusCode) && location ? URL.parse(location, url) : null
  if (target === null || !/^https?:$/.test(target.protocol)) return null
  const repeats = statusCode === 307 || statusCode === 308
  return {
    url: target,
    method: repeats ? method : 'GET',
    bearer,
    accept,
    body: repeats ? body : null,
  }
}
