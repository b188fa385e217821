import type { Agent } from 'undici'
import type { ClaimedJob } from '../../protocol/runner.ts'
import type { Disk } from '../disk.ts'
import type { Edge } from '../edge/connect.ts'
import { call } from '../job/call.ts'
import { createClock } from '../job/clock.ts'
import { errorResult, requestOf, streamResult } from '../job/envelope.ts'
import { inputOf } from '../job/input.ts'
import type { Outcome } from '../job/run.ts'
import { inTurn, type TurnOptions } from '../job/turn.ts'
import { record, type Streamed } from './record.ts'
import type { Streams } from './streams.ts'

export type StreamRunOptions = TurnOptions & {
  job: ClaimedJob
  agent: Agent
  edge: Edge
  disk: Disk
  streams: Streams
}

/**
 * Calls the container of a streaming job; its output goes onto a tape, and from there to the edge while it comes.
 * @throws DiskError, after which the job may begin anew: there was no output yet.
 */
export async function runStream(options: StreamRunOptions): Promise<Outcome> {
  const { job, agent, disk, controller, streams } = options
  const [container = ''] = job.containers
  const request = requestOf(job, { index: 0, count: 1 }, inputOf(options))
  const clock = createClock(job, controller)
  const stream: Streamed = { tape: null, utf8: true }

  try {
    const reply = await inTurn(options, container, async target => {
      const tape = await streams.tapes.begin(job, container)
      stream.tape = tape
      const onUtf8 = (whole: boolean) => {
        stream.utf8 = whole
      }
      const judge = record({ target, tape, disk, controller, bounds: streams.bounds, onUtf8 })
      const called = call({ agent, target, request, controller, clock }, judge)
      // The edge looks up what it has to while the container thinks.
      streams.upload(tape, controller.signal)
      return await called
    })
    stream.tape?.end()
    const failure = reply.ok ? null : { ...reply.failure, container }
    const result = failure === null ? streamResult(container) : errorResult(container, failure)
    return { failure, result, intermediate: null, stream }
  } catch (error) {
    if (stream.tape !== null) await streams.abandon(stream.tape)
    throw error
  } finally {
    clock.reset()
  }
}
