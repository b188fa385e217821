import type { FailureCode } from './job/failure.ts'
import { messageOf } from './trouble.ts'

/** Codes of a container that went down, was never up, or is on a host that it cannot work on. */
export type CauseCode = Extract<
  FailureCode,
  | 'image_pull_failed'
  | 'start_timeout'
  | 'not_ready'
  | 'oom_killed'
  | 'exited'
  | 'disk_limit'
  | 'not_isolated'
  | 'gpu_unavailable'
  | 'gpu_missing'
  | 'gpu_lost'
  | 'undead'
  | 'disk_low'
  | 'docker_unreachable'
  | 'container_unavailable'
>

/** A line that a container wrote, with the milliseconds since 1970 at which it did. */
export type LogLine = { at: number; text: string }

/**
 * Why a container is down. `detail` is told to the edge and to every job that comes meanwhile; `lines`, its last words, are told only to
 * jobs that it had in hand, and of these only what it wrote since each began.
 */
export type Cause = { code: CauseCode; detail: string; lines?: readonly LogLine[] }

/** A container could not be brought up, or down. */
export class DownError extends Error {
  override readonly name: string = 'DownError'
  readonly code: CauseCode

  constructor(code: CauseCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }

  /** As the edge and jobs are told it. */
  told(): string {
    return messageOf(this)
  }
}

/** What bringing a container up failed by. */
export function causeOf(error: unknown): Cause {
  return {
    code: error instanceof DownError ? error.code : 'container_unavailable',
    detail: error instanceof DownError ? error.told() : messageOf(error),
  }
}

/** What a job that a container had in hand can have failed by: it ended by itself, or was taken down here for what is named. */
export const deaths: ReadonlySet<CauseCode> = new Set([
  'oom_killed',
  'exited',
  'disk_limit',
  'not_isolated',
  'gpu_lost',
  'not_ready',
])
