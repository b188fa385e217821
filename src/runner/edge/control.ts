import { ControlAnswer, type ControlRequest } from '../../protocol/runner.ts'
import { ask } from './ask.ts'
import type { Edge } from './connect.ts'

/** Asks for orders, and waits for some up to `wait_ms`. */
export function control(edge: Edge, body: ControlRequest, signal?: AbortSignal): Promise<ControlAnswer> {
  return ask(edge, { path: '/runner/control', answer: ControlAnswer }, { body, signal, waitMs: body.wait_ms })
}
