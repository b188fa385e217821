import { HeartbeatAnswer, type HeartbeatRequest } from '../../protocol/runner.ts'
import { ask } from './ask.ts'
import type { Edge } from './connect.ts'

/** Renews leases and tells the containers' health. */
export function heartbeat(
  edge: Edge,
  body: HeartbeatRequest,
  signal?: AbortSignal,
): Promise<HeartbeatAnswer> {
  return ask(edge, { path: '/runner/heartbeat', answer: HeartbeatAnswer }, { body, signal })
}
