import type { Readable } from 'node:stream'
import type { Lease } from '../../protocol/runner.ts'
import type { Edge } from './connect.ts'

/** The bytes of a job's `data`, as a stream that the caller reads or destroys. */
export async function getInput(edge: Edge, { id, attempt }: Lease, signal?: AbortSignal): Promise<Readable> {
  const { body } = await edge.send({
    method: 'GET',
    path: `/runner/jobs/${id}/input?attempt=${attempt}`,
    signal,
  })
  return body
}
