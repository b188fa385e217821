import * as v from 'valibot'
import type { Edge, EdgeRequest } from './connect.ts'
import { EdgeError } from './error.ts'

export type Ask = { body: unknown; signal?: AbortSignal | undefined; waitMs?: number }

/** Posts JSON and reads the answer. `body` as a string is JSON text already. */
export async function ask<T extends v.GenericSchema>(
  edge: Edge,
  route: { path: string; answer: T },
  { body, signal, waitMs = 0 }: Ask,
): Promise<v.InferOutput<T>> {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  const request: EdgeRequest = { method: 'POST', path: route.path, body: text, signal, waitMs }
  const response = await edge.send(request)
  const answer = await response.body.json().catch((cause: unknown) => {
    if (signal?.aborted) throw signal.reason
    throw new EdgeError(`The edge's answer to ${route.path} broke off`, {
      status: null,
      retry: 'soon',
      cause,
    })
  })
  const parsed = v.safeParse(route.answer, answer)
  if (parsed.success) return parsed.output
  throw new EdgeError(
    `The edge's answer to ${route.path} is not as the protocol says: ${v.getDotPath(parsed.issues[0])}`,
    {
      status: response.statusCode,
      retry: 'soon',
    },
  )
}
