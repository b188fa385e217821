import type { StreamAnswer } from '../../protocol/runner.ts'
import { createBackoff } from '../backoff.ts'
import { DamagedError } from '../damaged.ts'
import type { Edge } from '../edge/connect.ts'
import { EdgeError } from '../edge/error.ts'
import { BrokenError } from '../edge/pour.ts'
import { askStream, putStream } from '../edge/put-stream.ts'
import { isFinal, paceOf } from '../edge/retry.ts'
import type { Notice } from '../notice.ts'
import type { Trouble } from '../trouble.ts'
import type { Bounds } from './bounds.ts'
import { pieces } from './pieces.ts'
import type { Tape } from './tape.ts'

export type UploadOptions = {
  edge: Edge
  tape: Tape
  bounds: Bounds
  trouble: Trouble
  /** Posted when the edge is back. */
  back: Notice
  signal: AbortSignal
}

/** The longest pause after an answer that got nothing on. */
const fruitlessMs = 1_500

/**
 * Takes a tape to the edge while it is written, one request after another, each from where the edge says that it is.
 * @returns `whole`: the edge has it; `unwanted`: nobody wants the rest, or can be given it; `aborted`: the signal did.
 * @throws EdgeError when the edge refuses it for good, DamagedError.
 */
export async function uploadTape(options: UploadOptions): Promise<'whole' | 'unwanted' | 'aborted'> {
  const { trouble, back, signal } = options
  const backoff = createBackoff()
  const course = createCourse(options)
  while (!signal.aborted) {
    try {
      const came = await course.turn()
      trouble.over()
      if (came === 'whole' || came === 'unwanted') return came
      if (came === 'on') backoff.reset()
      if (came === 'nowhere') await back.wait(signal, backoff.next(fruitlessMs))
    } catch (error) {
      if (signal.aborted) break
      if (isFinal(error) || error instanceof DamagedError) throw error
      course.ask()
      // A reader that stands still holds up the edge as well. If it is the network that does, the question will tell.
      if (isStall(error)) continue
      trouble.failed(error)
      await back.wait(signal, paceOf(error, backoff))
    }
  }
  return 'aborted'
}

function isStall(error: unknown): boolean {
  return error instanceof EdgeError && error.cause instanceof BrokenError && error.cause.stalled
}

type Course = {
  /**
   * One request. `on`: the edge has more than before; `idle`: it was given nothing, or only asked; `nowhere`: it took nothing.
   * @throws as the upload, and EdgeError, DiskError, after which the edge is to be asked.
   */
  turn(): Promise<'whole' | 'unwanted' | 'on' | 'idle' | 'nowhere'>
  /** The next request asks what the edge has. */
  ask(): void
}

function createCourse({ edge, tape, bounds, signal }: UploadOptions): Course {
  const { lease } = tape
  /** Null: to be asked, after a failure, or since an earlier process has sent something. */
  let have: number | null = tape.ended() ? null : 0
  let most = 0
  let missingSince: number | null = null

  async function request(from: number | null): Promise<StreamAnswer> {
    if (from === null) return await askStream(edge, { lease, from: most }, signal)
    tape.sent(from)
    const body = (until: AbortSignal) => pieces(tape, { ...bounds, from }, until)
    return await putStream(edge, { lease, from, body }, signal)
  }

  /** The edge may forget how far it has passed output on, until a reader comes back and says so. It is given a while. */
  function missing(): 'unwanted' | 'nowhere' {
    have = null
    missingSince ??= performance.now()
    return performance.now() - missingSince < bounds.missingMs ? 'nowhere' : 'unwanted'
  }

  return {
    async turn() {
      const from = have
      const askedAt = performance.now()
      const answer = await request(from)
      if (answer.stop) return 'unwanted'
      have = Math.min(answer.have, tape.bytes())
      if (have < tape.from()) return missing()
      missingSince = null
      await tape.acknowledge(have)
      if (tape.ended() && have === tape.bytes()) return 'whole'
      const gotOn = have > most
      most = Math.max(most, have)
      if (gotOn) return 'on'
      return from === null || performance.now() - askedAt >= bounds.partMs ? 'idle' : 'nowhere'
    },
    ask() {
      have = null
    },
  }
}
