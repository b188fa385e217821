import { limits } from '../../protocol/limits.ts'
import type { Lease, StreamAnswer } from '../../protocol/runner.ts'
import { createBackoff } from '../backoff.ts'
import type { Edge } from '../edge/connect.ts'
import { putStream } from '../edge/put-stream.ts'
import { isFinal, paceOf } from '../edge/retry.ts'
import type { Notice } from '../notice.ts'
import type { Trouble } from '../trouble.ts'
import { piecesOf } from './pieces.ts'
import type { Tape } from './tape.ts'

export type UploadOptions = {
  edge: Edge
  lease: Lease
  tape: Tape
  trouble: Trouble
  /** Posted when the edge is back. */
  back: Notice
  /** Nobody wants the rest: the edge has said so. */
  onStop: () => void
  /** Aborts when nobody waits for the output any more. */
  signal: AbortSignal
  /** What the edge has is not known: the tape is an earlier process's. */
  isFound?: boolean
  partBytes?: number
  partMs?: number
}

/** Beyond what the edge stores, it has passed on what it says it has, and a relay that dies loses what was under way. */
const marginBytes = 1024 * 1024

/**
 * Uploads a tape while it grows, request after request, until the edge has all of it. After a failure the edge is asked what it has.
 * @throws EdgeError when it refuses for good, as when the lease is another's; DiskError; the signal's reason.
 */
export async function uploadTape(options: UploadOptions): Promise<void> {
  const { tape, trouble, back, onStop, signal, isFound = false } = options
  const backoff = createBackoff()
  let have = 0
  let isSure = !isFound
  while (!(tape.isOver() && have >= tape.end() && isSure)) {
    signal.throwIfAborted()
    try {
      const answer: StreamAnswer = isSure ? await send(options, have) : await ask(options, have)
      have = Math.min(answer.have, tape.end())
      isSure = true
      tape.drop(have - marginBytes)
      trouble.over()
      backoff.reset()
      if (answer.stop) return onStop()
    } catch (error) {
      signal.throwIfAborted()
      if (isFinal(error)) throw error
      isSure = false
      trouble.failed(error)
      await back.wait(signal, paceOf(error, backoff))
    }
  }
}

function ask({ edge, lease, signal }: UploadOptions, from: number): Promise<StreamAnswer> {
  return putStream(edge, { lease, from, body: null }, signal)
}

async function send(
  {
    edge,
    lease,
    tape,
    signal,
    partBytes = limits.streamPartBytes,
    partMs = limits.streamPartMs,
  }: UploadOptions,
  from: number,
): Promise<StreamAnswer> {
  const over = new AbortController()
  const body = piecesOf({
    tape,
    from,
    maxBytes: partBytes,
    maxMs: partMs,
    signal: AbortSignal.any([signal, over.signal]),
  })
  try {
    return await putStream(edge, { lease, from, body }, signal)
  } finally {
    // It may wait for output that the edge does not want.
    over.abort()
  }
}
