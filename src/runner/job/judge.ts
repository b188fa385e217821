import type { Dispatcher } from 'undici'
import type { Target } from '../containers.ts'
import { type Failure, failed } from './failure.ts'
import { passOver, type Reply, readExcerpt, readJson } from './reply.ts'
import type { Scratch } from './scratch.ts'
import type { Sent } from './send.ts'

const jsonType = /^(application\/json|[^/;\s]+\/[^/;\s]+\+json)$/i

/** Judges a reply by the reference's rules (node page, 2.4). @throws DiskError */
export async function judge({ url, response }: Sent, target: Target, scratch: Scratch): Promise<Reply> {
  const { statusCode, headers, body } = response
  if (isHttpError(statusCode, target)) return failed(await httpError({ url, response }, target))
  const type = headerOf(headers, 'content-type')
  if (!jsonType.test(type.split(';')[0]?.trim() ?? '')) {
    await passOver(body)
    const message = `Attempt to decode JSON with unexpected mimetype: ${type}`
    const error = `0, message='${message}', url=URL('${quoted(url, target)}')`
    return failed({ code: 'invalid_output', error, detail: 'the reply is not declared as JSON' })
  }
  return await readJson(body, Number(headerOf(headers, 'content-length') || Number.NaN), scratch)
}

/** Whether a status fails the job by itself. */
export function isHttpError(statusCode: number, { config }: Target): boolean {
  return statusCode >= 400 && config.httpErrors === 'failure'
}

export async function httpError({ url, response }: Sent, target: Target): Promise<Failure> {
  const { statusCode, statusText, body } = response
  const said = await readExcerpt(body)
  const error = `${statusCode}, message='${statusText}', url=URL('${quoted(url, target)}')${said && `\n${said}`}`
  return { code: 'http_error', error, detail: `status ${statusCode}` }
}

/** A `url` may have a token in its path or query, and tells of an internal network: the container's id stands for it. */
function quoted(url: URL, { config }: Target): string {
  return config.url === '' ? url.href : config.id
}

function headerOf(headers: Dispatcher.ResponseData['headers'], name: string): string {
  const value = headers[name]
  return (Array.isArray(value) ? value[0] : value) ?? ''
}
