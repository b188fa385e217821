import { PredictionError } from '../cog/stream.ts'
import type { Target } from '../containers.ts'
import type { Disk } from '../disk.ts'
import { type Judge, noInput, refusedOrLost, stopped } from '../job/call.ts'
import { type Failed, type Failure, failed } from '../job/failure.ts'
import { InputError } from '../job/input.ts'
import { httpError, isHttpError } from '../job/judge.ts'
import type { Sent } from '../job/send.ts'
import { outlast } from '../outlast.ts'
import type { Bounds } from './bounds.ts'
import type { Tape } from './tape.ts'
import { createUtf8 } from './utf8.ts'

/** The output of a streaming job, as far as it came. `tape` null: none was begun. */
export type Streamed = { tape: Tape | null; utf8: boolean }

export type RecordOptions = {
  target: Target
  tape: Tape
  disk: Disk
  controller: AbortController
  bounds: Pick<Bounds, 'idleMs' | 'aheadBytes'>
  /** The output in a reply. A piece without bytes says that the container is at work. */
  read: (sent: Sent) => AsyncIterable<Uint8Array>
  /** How it ended: whether all of it is text. */
  onUtf8: (whole: boolean) => void
}

/** Of a container whose reply is its output. */
export function bodyOf({ response }: Sent): AsyncIterable<Uint8Array> {
  return response.body
}

/**
 * Takes a reply onto a tape as it comes, whatever its type. Once there is output every end is a value, so that nobody calls the
 * container again; an error before it is thrown.
 */
export function record({
  target,
  tape,
  disk,
  controller,
  bounds,
  read,
  onUtf8,
}: RecordOptions): Judge<{ ok: true }> {
  const { signal } = controller
  const utf8 = createUtf8()

  /** Nobody but this host is to blame when its disk fails: the container waits. @throws DiskError when the signal has aborted. */
  async function take(chunk: Uint8Array): Promise<void> {
    await outlast(disk, signal, () => tape.append(chunk))
    utf8.push(chunk)
  }

  async function untilRoom(): Promise<void> {
    while (tape.ahead() > bounds.aheadBytes && !signal.aborted) await tape.moved.wait(signal)
  }

  function brokenOff(url: URL, error: unknown): Failed {
    if (signal.aborted) return failed(cutOff(String(signal.reason), target, bounds))
    if (error instanceof InputError) return failed(noInput(error))
    return failed(refusedOrLost({ url, target }, error))
  }

  return async ({ url, response }, answers) => {
    if (isHttpError(response.statusCode, target)) return failed(await httpError({ url, response }, target))
    let idle: NodeJS.Timeout | undefined
    let begun = false
    try {
      for await (const chunk of read({ url, response })) {
        clearTimeout(idle)
        answers()
        begun = true
        if (chunk.length > 0) await take(chunk)
        await untilRoom()
        // Only from here on do we wait for the container.
        idle = setTimeout(() => controller.abort('idle'), bounds.idleMs)
      }
      return { ok: true }
    } catch (error) {
      if (error instanceof PredictionError && !signal.aborted) return failed(error.failure)
      if (!begun) throw error
      return brokenOff(url, error)
    } finally {
      clearTimeout(idle)
      onUtf8(utf8.whole())
    }
  }
}

function cutOff(reason: string, target: Target, { idleMs }: Pick<Bounds, 'idleMs'>): Failure {
  if (reason === 'stopped') return runnerStopped
  if (reason !== 'idle') return stopped(reason, target)
  const error = `Container ${target.config.id} sent nothing for ${idleMs / 1000} s`
  return { code: 'idle', error, detail: error }
}

/** Of a job whose runner ended while it put out bytes: these cannot be taken back, so that nobody else may run it. */
export const runnerStopped: Failure = {
  code: 'runner_stopped',
  error: 'The runner stopped before the container was done',
  detail: 'stopped',
}
