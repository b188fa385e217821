import * as v from 'valibot'
import { type Lease, StreamAnswer } from '../../protocol/runner.ts'
import type { Edge } from './connect.ts'
import { EdgeError } from './error.ts'
import type { Body } from './pour.ts'

export type StreamPart = { lease: Lease; from: number; body: Body }

/** Uploads output of a streaming job while it comes. The edge may answer before all of it is sent. */
export async function putStream(
  edge: Edge,
  { lease, from, body }: StreamPart,
  signal: AbortSignal,
): Promise<StreamAnswer> {
  return answerOf(await edge.pour({ path: pathOf(lease, from), body, signal }))
}

/** Asks how much of the output the edge has. */
export async function askStream(
  edge: Edge,
  { lease, from }: Omit<StreamPart, 'body'>,
  signal: AbortSignal,
): Promise<StreamAnswer> {
  const path = pathOf(lease, from)
  const { body } = await edge.send({ method: 'PUT', path, body: new Uint8Array(), signal })
  return answerOf(await body.text().catch(() => ''))
}

function pathOf({ id, attempt }: Lease, from: number): string {
  return `/runner/jobs/${id}/stream?attempt=${attempt}&from=${from}`
}

function answerOf(text: string): StreamAnswer {
  const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), StreamAnswer), text)
  if (parsed.success) return parsed.output
  throw new EdgeError("The edge's answer to output is not as the protocol says", {
    status: null,
    retry: 'soon',
  })
}
