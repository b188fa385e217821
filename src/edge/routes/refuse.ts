import type { Context, MiddlewareHandler } from 'hono'
import { HTTPException } from 'hono/http-exception'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import {
  type ErrorCode,
  errorStatus,
  type Refusal,
  refusalBody,
  retryAfterSeconds,
} from '../../protocol/error.ts'
import type { Context as App } from '../context.ts'
import { isUnavailable, isUnmigrated } from '../db/errors.ts'
import { describe } from '../log.ts'
import type { PolicyCache } from '../runners/policy.ts'
import { isOpenAiPath, openAiError } from './openai-error.ts'

/** A refusal thrown from the depth of a handler, where returning it through every caller would only be noise. */
export class RefusalError extends Error {
  override name = 'RefusalError'
  readonly refusal: Refusal
  constructor(code: ErrorCode, error: string, params?: Record<string, unknown>) {
    super(error)
    this.refusal = params ? { code, error, params } : { code, error }
  }
}

/** To whoever waits at a host that closes: the next process may answer. */
export function closes(): RefusalError {
  return new RefusalError('closing', 'The node is closing')
}

/** The one place that makes an error response. */
export function refuse(c: Context, refusal: Refusal): Response {
  const retryAfter = retryAfterSeconds[refusal.code]
  if (retryAfter !== undefined) c.header('retry-after', String(retryAfter))
  const status = errorStatus[refusal.code] satisfies number as ContentfulStatusCode
  const { code, error: message } = refusal
  // Whatever its clients are refused with, they read it as OpenAI's.
  if (isOpenAiPath(c.req.path)) return openAiError(c, status, { message, code })
  return c.json(refusalBody(refusal), status)
}

/** What a failure that nobody expected is to the client: a refusal that tells nothing of our insides. */
export function onError(app: App) {
  return function onError(error: unknown, c: Context): Response {
    if (error instanceof RefusalError) return refuse(c, error.refusal)
    const refusal = toRefusal(error)
    if (refusal.code === 'malformed_json') return refuse(c, refusal)
    app.log.error('Request failed', {
      method: c.req.method,
      path: c.req.path,
      code: refusal.code,
      error: describe(error),
    })
    return refuse(c, refusal)
  }
}

const schemaOutdated: Refusal = {
  code: 'schema_outdated',
  error: 'The database is not migrated to the schema of this version',
}

/** Lets requests through when the database has the schema that this code was written for. */
export function requireSchema(policy: PolicyCache): MiddlewareHandler {
  return async function requireSchema(c, next) {
    const { schema } = await policy.read()
    return schema === 'outdated' ? refuse(c, schemaOutdated) : await next()
  }
}

function toRefusal(error: unknown): Refusal {
  if (error instanceof HTTPException && error.status === 400)
    return { code: 'malformed_json', error: 'Malformed JSON' }
  if (isUnmigrated(error)) return schemaOutdated
  if (isUnavailable(error)) return { code: 'database_unavailable', error: 'The database does not answer' }
  return { code: 'internal', error: 'Internal server error' }
}
