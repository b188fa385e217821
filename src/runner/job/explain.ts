import { type Cause, deaths } from '../cause.ts'
import type { Containers, Target } from '../containers.ts'
import { createNotice } from '../notice.ts'
import type { Failure, FailureCode } from './failure.ts'

/**
 * How long a broken connection waits to be explained. The engine tells of a process that ended within some 50 ms; so long is for a host
 * that is busy with what it died of.
 */
const explainMs = 2_000

const broken: ReadonlySet<FailureCode> = new Set([
  'connection_lost',
  'connection_refused',
  'connection_failed',
])

export type Call = {
  target: Target
  /** Why the container had last been down when it was called. */
  before: Cause | undefined
  /** When it was called, in milliseconds since 1970. */
  at: number
  signal: AbortSignal
}

/**
 * What a connection broke off by, where that was the container's end: the container's loop, which hears of it from the engine, says why it
 * is down. The failure as it was when nothing is heard in time, or when the container runs elsewhere.
 */
export async function explain(containers: Containers, call: Call, failure: Failure): Promise<Failure> {
  const { target, before, signal } = call
  const { id, managed } = target.config
  if (!managed || !broken.has(failure.code)) return failure
  const heard = createNotice()
  const unwatch = containers.watch(heard.post)
  const until = AbortSignal.any([signal, AbortSignal.timeout(explainMs)])
  while (containers.blamed(id) === before && !until.aborted) await heard.wait(until)
  unwatch()
  const cause = containers.blamed(id)
  const isDeath = cause !== undefined && cause !== before && deaths.has(cause.code)
  return isDeath ? failureOf(target, cause, call.at) : failure
}

/** `since`: of what the container wrote, only what came after; null: none of it. */
export function failureOf({ config: { id } }: Target, cause: Cause, since: number | null): Failure {
  const what = `Container ${id}: ${cause.detail}`
  const said = since === null ? [] : (cause.lines ?? []).filter(({ at }) => at >= since)
  return {
    code: cause.code,
    error: [what, ...said.map(({ text }) => text)].join('\n'),
    detail: cause.detail,
  }
}
