import type { MiddlewareHandler } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import { RefusalError } from './refuse.ts'

/** Refuses bodies that are longer, whether they say so or not. */
export function boundedBody(maxBytes: number): MiddlewareHandler {
  return bodyLimit({
    maxSize: maxBytes,
    onError: () => {
      throw bodyTooLarge(maxBytes)
    },
  })
}

export function bodyTooLarge(limit: number): RefusalError {
  return new RefusalError('body_too_large', 'Request body too large', { limit })
}
