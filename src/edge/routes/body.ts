import type { MiddlewareHandler } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import { RefusalError } from './refuse.ts'

/** Refuses bodies that are longer, whether they say so or not. */
export function boundedBody(maxBytes: number): MiddlewareHandler {
  const bound = bodyLimit({
    maxSize: maxBytes,
    onError: () => {
      throw bodyTooLarge(maxBytes)
    },
  })
  return async function boundedBody(c, next) {
    // Nobody reads the body of a GET, and no Request can be made again with one.
    if (c.req.method === 'GET' || c.req.method === 'HEAD') return await next()
    // What is thrown past `next` has been answered there: what comes here comes of reading.
    return await unbroken(bound(c, next))
  }
}

export function bodyTooLarge(limit: number): RefusalError {
  return new RefusalError('body_too_large', 'Request body too large', { limit })
}

/**
 * What is read of a body. One that breaks off fails with the runtime's "network connection lost", which elsewhere means the database.
 * @throws RefusalError
 */
export async function unbroken<Read>(reading: Promise<Read>): Promise<Read> {
  try {
    return await reading
  } catch (error) {
    throw error instanceof RefusalError ? error : brokeOff()
  }
}

export function brokeOff(): RefusalError {
  return new RefusalError('invalid_request', 'The request body broke off')
}
