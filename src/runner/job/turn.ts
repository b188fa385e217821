import type { Containers, Target } from '../containers.ts'
import type { Slots } from '../slots.ts'
import { stopped } from './call.ts'
import { explain, failureOf } from './explain.ts'
import { type Failed, type Failure, type FailureCode, failed } from './failure.ts'

export type TurnOptions = {
  containers: Containers
  slots: Slots
  controller: AbortController
  /** The first container is about to be called. */
  onStart: () => void
  /** Nobody listens there, or its host is not reached. */
  onUnreachable: (target: Target, detail: string) => void
  /** It did not answer in time. */
  onLate: (target: Target) => void
  onAnswered: (container: string) => void
}

const unreachable: ReadonlySet<FailureCode> = new Set(['connection_refused', 'connection_failed'])

/** Calls a container once it is this job's turn, if it is ready. Begins within this call when a slot is free. */
export async function inTurn<T extends { ok: true }>(
  { containers, slots, controller, onStart, ...told }: TurnOptions,
  container: string,
  call: (target: Target) => Promise<T | Failed>,
): Promise<T | Failed> {
  const target = containers.get(container)
  if (target?.health !== 'ready') return failed(absent(container, target))
  const { signal } = controller
  const turn = slots.enter(container, signal)
  // Awaited only when it is a promise, so that a job starts within the call that claimed it.
  const entered = typeof turn === 'boolean' ? turn : await turn
  if (!entered) return failed(stopped(String(signal.reason), target))
  try {
    onStart()
    const before = containers.blamed(container)
    const at = Date.now()
    const reply = await call(target)
    if (reply.ok) {
      told.onAnswered(container)
      return reply
    }
    const failure = await explain(containers, { target, before, at, signal }, reply.failure)
    if (unreachable.has(failure.code)) told.onUnreachable(target, failure.detail)
    if (failure.code === 'timeout') told.onLate(target)
    return failed(failure)
  } finally {
    slots.leave(container)
  }
}

function absent(container: string, target: Target | undefined): Failure {
  if (target?.cause !== undefined) return failureOf(target, target.cause, null)
  const what = target === undefined ? 'is not configured' : `is not ready (${target.health})`
  const error = `Container ${container} ${what} on this runner`
  return { code: target?.health === 'starting' ? 'not_ready' : 'container_unavailable', error, detail: error }
}
