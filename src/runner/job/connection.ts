import type { Failure } from './failure.ts'

const notReached = new Set([
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ETIMEDOUT',
  'UND_ERR_CONNECT_TIMEOUT',
  'EACCES',
])

/** What an error of a request says: of a socket in the reference's words (aiohttp's), and whether the container was reached at all. */
export function connectionFailure(url: URL, error: unknown): Failure {
  const cause = firstCause(error)
  const host = url.hostname
  const port = url.port || (url.protocol === 'https:' ? '443' : '80')
  const unreadable = unreadableReply(cause)
  if (unreadable !== null) return { code: 'invalid_output', error: unreadable, detail: unreadable }
  const told = `Cannot connect to host ${host}:${port} ssl:default`
  if (cause.code === 'ECONNREFUSED')
    return {
      code: 'connection_refused',
      error: `${told} [Connect call failed ('${cause.address ?? host}', ${port})]`,
      detail: 'connection refused',
    }
  if (notReached.has(cause.code))
    return { code: 'connection_failed', error: `${told} [${cause.message}]`, detail: cause.code }
  if (isTls(cause.code))
    return {
      code: 'connection_failed',
      error: `Cannot connect to host ${host}:${port} ssl:True [${cause.message.trim()}]`,
      detail: `TLS: ${cause.code}`,
    }
  return {
    code: 'connection_lost',
    error: `Server disconnected: ${host}:${port} closed the connection before its reply was complete`,
    detail: cause.code,
  }
}

/** Something has answered, and not as HTTP has it. The parser's own reasons quote nothing of it. */
function unreadableReply({ name, code, message }: Cause): string | null {
  if (code === 'UND_ERR_HEADERS_OVERFLOW') return 'The headers of the reply are larger than 16 KiB'
  // undici gives these no code.
  if (name !== 'HTTPParserError') return null
  const [, reason = message] = /\((.+)\)$/.exec(message) ?? []
  // Its end came in the middle: that is a connection which broke off.
  return reason === 'Invalid EOF state' ? null : `The reply is not HTTP: ${reason}`
}

/** The same without an address, of the container that is called so. */
export function withoutAddress(failure: Failure, id: string): Failure {
  const { code, detail } = failure
  if (code === 'invalid_output') return failure
  const error =
    code === 'connection_lost'
      ? `Server disconnected: container ${id} closed the connection before its reply was complete`
      : `Cannot connect to container ${id} [${detail}]`
  return { code, error, detail }
}

/** What OpenSSL, and Node's check of names, say of a certificate or a handshake. */
function isTls(code: string): boolean {
  return /^(CERT_|ERR_TLS_|ERR_SSL_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|HOSTNAME_MISMATCH|INVALID_CA|EPROTO)/.test(
    code,
  )
}

type Cause = { name: string; code: string; message: string; address: string | undefined }

/** Node tries every address of a name and then throws all the errors at once. */
function firstCause(error: unknown): Cause {
  const one = error instanceof AggregateError && error.errors.length > 0 ? error.errors[0] : error
  const { name, code, message, address } = Object(one) as Record<string, unknown>
  return {
    name: String(name ?? ''),
    code: String(code ?? 'unknown'),
    message: String(message ?? ''),
    address: typeof address === 'string' ? address : undefined,
  }
}
