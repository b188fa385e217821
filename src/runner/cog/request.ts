import { destination } from '../../protocol/job.ts'
import type { ClaimedJob } from '../../protocol/runner.ts'
import type { ContainerRequest } from '../job/envelope.ts'
import type { Rope } from '../rope.ts'

/**
 * A job as a prediction: its data is the input. The id is of the attempt and the place in the chain, so that it can be cancelled and
 * meets no other.
 */
export function predictionOf(job: ClaimedJob, index: number, data: Rope): ContainerRequest {
  const id = `${job.id}-${job.attempt}-${index}`
  return {
    path: '/predictions',
    body: [`{"id": "${id}", "input": `, ...data, '}'],
    cancelPath: `/predictions/${id}/cancel`,
    ...(job.destination === destination.stream && { accept: 'text/event-stream' }),
  }
}
