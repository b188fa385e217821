import { ClaimAnswer, type ClaimRequest } from '../../protocol/runner.ts'
import { ask } from './ask.ts'
import type { Edge } from './connect.ts'

/** Asks for jobs, and waits for some up to `wait_ms`. */
export function claim(edge: Edge, body: ClaimRequest, signal?: AbortSignal): Promise<ClaimAnswer> {
  return ask(edge, { path: '/runner/claim', answer: ClaimAnswer }, { body, signal, waitMs: body.wait_ms })
}
