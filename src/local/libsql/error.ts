/** A refusal that belongs to one request of a pipeline, or one step of a batch: it travels inside a 200 response. */
export class SqlError extends Error {
  readonly code: string
  /** Another connection holds the lock; the statement had no effect and may be tried again as it is. */
  readonly busy: boolean

  constructor(code: string, message: string, options: { busy?: boolean; cause?: unknown } = {}) {
    super(message, { cause: options.cause })
    this.name = 'SqlError'
    this.code = code
    this.busy = options.busy ?? false
  }
}

/** A refusal of the whole HTTP request. The stream that it came in on, if any, is gone. */
export class ProtocolError extends Error {
  readonly code: string
  readonly status: number

  constructor(message: string, code = 'HRANA_PROTO_ERROR', status = 400) {
    super(message)
    this.name = 'ProtocolError'
    this.code = code
    this.status = status
  }
}

export type WireError = { message: string; code: string }

export function wireError(error: SqlError | ProtocolError): WireError {
  return { message: error.message, code: error.code }
}
