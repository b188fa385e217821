import { within } from '../within.ts'

export type StreamBodyOptions = {
  /** The client has left. */
  onCancel(): void
  /** There is no more, whatever the reason. */
  onEnd(): void
  onError(error: unknown): void
  /** A comment is sent after so long without anything: somebody on the way may think the connection dead. null: never. */
  commentMs: number | null
  /** Whether what has been sent ends where an event does: within one, a comment would end it. */
  isBetween(): boolean
}

const encoder = new TextEncoder()
const comment = encoder.encode(':\n\n')

/**
 * A response's body. The next piece is asked for when the client has room; one that has not come when a comment is sent is waited for
 * after that.
 */
export function createStreamBody(
  pieces: AsyncGenerator<string | Uint8Array>,
  { onCancel, onEnd, onError, commentMs, isBetween }: StreamBodyOptions,
): ReadableStream<Uint8Array> {
  let next: Promise<IteratorResult<string | Uint8Array>> | null = null
  let isCancelled = false
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          next ??= pieces.next()
          let result: Awaited<typeof next> | null
          do result = commentMs === null ? await next : await within(next, commentMs)
          while (result === null && !isBetween())
          if (result === null) return controller.enqueue(comment)
          next = null
          if (isCancelled) return
          if (result.done) {
            onEnd()
            controller.close()
          } else
            controller.enqueue(typeof result.value === 'string' ? encoder.encode(result.value) : result.value)
        } catch (error) {
          if (isCancelled) return
          onEnd()
          onError(error)
          controller.error(error)
        }
      },
      async cancel() {
        isCancelled = true
        // What waits inside hears of it, so that it can end.
        onCancel()
        await pieces.return(undefined).catch(onError)
      },
    },
    { highWaterMark: 0 },
  )
}
