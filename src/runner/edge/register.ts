import { RegisterAnswer, type RegisterRequest } from '../../protocol/runner.ts'
import { ask } from './ask.ts'
import type { Edge } from './connect.ts'

/** Tells the edge of this process and its containers; answers the pace that the edge wants. */
export function register(edge: Edge, body: RegisterRequest, signal?: AbortSignal): Promise<RegisterAnswer> {
  return ask(edge, { path: '/runner/register', answer: RegisterAnswer }, { body, signal })
}
