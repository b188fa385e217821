import type { Retry } from './retry.ts'

/** A request to the edge that did not succeed. `status` null: no answer at all. */
export class EdgeError extends Error {
  override readonly name = 'EdgeError'
  readonly status: number | null
  readonly retry: Retry

  constructor(message: string, options: { status: number | null; retry: Retry; cause?: unknown }) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.status = options.status
    this.retry = options.retry
  }
}
