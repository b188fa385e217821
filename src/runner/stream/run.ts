import type { Agent } from 'undici'
import type { Images } from '../../protocol/container.ts'
import type { ClaimedJob } from '../../protocol/runner.ts'
import { predictionOf } from '../cog/request.ts'
import { predictionOutput } from '../cog/stream.ts'
import type { Disk } from '../disk.ts'
import type { Edge } from '../edge/connect.ts'
import { call } from '../job/call.ts'
import { createClock } from '../job/clock.ts'
import { errorResult, requestOf, streamResult } from '../job/envelope.ts'
import { inputOf } from '../job/input.ts'
import type { Outcome } from '../job/run.ts'
import type { Scratch } from '../job/scratch.ts'
import type { Sent } from '../job/send.ts'
import { inTurn, type TurnOptions } from '../job/turn.ts'
import { bodyOf, record, type Streamed } from './record.ts'
import type { Streams } from './streams.ts'

export type StreamRunOptions = TurnOptions & {
  job: ClaimedJob
  agent: Agent
  edge: Edge
  disk: Disk
  streams: Streams
  scratch: Scratch
}

/**
 * Calls the container of a streaming job; its output goes onto a tape, and from there to the edge while it comes.
 * @throws DiskError, after which the job may begin anew: there was no output yet.
 */
export async function runStream(options: StreamRunOptions): Promise<Outcome> {
  const { job, agent, disk, controller, streams, scratch } = options
  const [container = ''] = job.containers
  const data = inputOf(options)
  const clock = createClock(job, controller)
  const stream: Streamed = { tape: null, utf8: true }
  const images: Images = {}

  try {
    const reply = await inTurn(options, container, async target => {
      const tape = streams.tapes.begin(job, container)
      stream.tape = tape
      if (target.image !== undefined) images[container] = target.image
      const onUtf8 = (whole: boolean) => {
        stream.utf8 = whole
      }
      const isCog = target.config.api === 'cog'
      const request = isCog ? predictionOf(job, 0, data) : requestOf(job, { index: 0, count: 1 }, data)
      const read = isCog ? (sent: Sent) => predictionOutput(sent, target, scratch) : bodyOf
      const judge = record({ target, tape, disk, controller, bounds: streams.bounds, read, onUtf8 })
      const called = call({ agent, target, request, controller, clock }, judge)
      // The edge looks up what it has to while the container thinks.
      streams.upload(tape, controller.signal)
      return await called
    })
    stream.tape?.end()
    const failure = reply.ok ? null : { ...reply.failure, container }
    const result = failure === null ? streamResult(container) : errorResult(container, failure)
    return { failure, result, intermediate: null, stream, images }
  } catch (error) {
    if (stream.tape !== null) await streams.abandon(stream.tape)
    throw error
  } finally {
    clock.reset()
  }
}
