import type { ClaimedJob } from '../../protocol/runner.ts'
import type { Edge } from '../edge/connect.ts'
import { getInput } from '../edge/get-input.ts'
import type { Rope, Source } from '../rope.ts'

/** A job's input could not be read from the edge. The container saw at most a part of a request, so asking again is safe. */
export class InputError extends Error {
  override readonly name = 'InputError'
}

/** Inline, or read from the edge while the container is called. */
export function inputOf({ job, edge }: { job: ClaimedJob; edge: Edge }): Rope {
  return [job.data ?? remoteInput(edge, job)]
}

/** The input as a stream from the edge, opened anew for each try. */
function remoteInput(edge: Edge, job: ClaimedJob): Source {
  return {
    bytes: job.data_bytes,
    async *open(signal) {
      let bytes = 0
      try {
        for await (const chunk of await getInput(edge, job, signal)) {
          bytes += chunk.length
          yield chunk as Uint8Array
        }
      } catch (cause) {
        if (signal.aborted) throw signal.reason
        throw new InputError('The input could not be read from the edge', { cause })
      }
      if (bytes !== job.data_bytes) throw new InputError(`The input has ${bytes} of ${job.data_bytes} bytes`)
    },
  }
}
