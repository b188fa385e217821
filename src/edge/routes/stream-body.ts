import { limits } from '../../protocol/limits.ts'

export type BodyOptions = { leaving: AbortController; commented: boolean; onError(error: unknown): void }

const encoder = new TextEncoder()
const comment = encoder.encode(':\n\n')

/**
 * A response's body. The next piece is asked for when the client has room; what comes of it is kept over a comment that is sent while
 * there is none.
 */
export function toBody(
  pieces: AsyncGenerator<string | Uint8Array>,
  { leaving, commented, onError }: BodyOptions,
): ReadableStream<Uint8Array> {
  let next: Promise<IteratorResult<string | Uint8Array>> | null = null
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          next ??= pieces.next()
          const result = commented ? await inTime(next) : await next
          if (result === null) return controller.enqueue(comment)
          next = null
          if (result.done) controller.close()
          else
            controller.enqueue(typeof result.value === 'string' ? encoder.encode(result.value) : result.value)
        } catch (error) {
          if (!leaving.signal.aborted) onError(error)
          controller.error(error)
        }
      },
      cancel() {
        leaving.abort()
      },
    },
    { highWaterMark: 0 },
  )
}

/** Null when there is nothing for so long that somebody on the way may think the connection dead. */
async function inTime<Value>(value: Promise<Value>): Promise<Value | null> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const silent = new Promise<null>(resolve => {
    timer = setTimeout(() => resolve(null), limits.streamCommentMs)
  })
  try {
    return await Promise.race([value, silent])
  } finally {
    clearTimeout(timer)
  }
}
