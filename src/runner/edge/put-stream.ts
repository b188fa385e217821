import { type Lease, StreamAnswer } from '../../protocol/runner.ts'
import { parseAnswer } from './ask.ts'
import type { Edge } from './connect.ts'

export type StreamUpload = {
  lease: Lease
  from: number
  /** Null: asks what the edge has. */
  body: AsyncIterable<Uint8Array> | null
}

/**
 * Uploads output of a stream from an offset on. The edge answers when the body ends, or before, when it wants no more of it.
 * @throws EdgeError
 */
export async function putStream(
  edge: Edge,
  { lease, from, body }: StreamUpload,
  signal: AbortSignal,
): Promise<StreamAnswer> {
  const path = `/runner/jobs/${lease.id}/stream?attempt=${lease.attempt}&from=${from}`
  const response = await edge.send({ method: 'PUT', path, body: body ?? new Uint8Array(0), signal })
  return await parseAnswer(response, { path: 'PUT /runner/jobs/.../stream', answer: StreamAnswer, signal })
}
