/** Why a job failed here; `error_code` of its report and `code` of its result. */
export type FailureCode =
  | 'container_unavailable'
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
  | 'connection_refused'
  | 'connection_failed'
  | 'connection_lost'
  | 'timeout'
  | 'redirect_refused'
  | 'http_error'
  | 'invalid_output'
  | 'prediction_failed'
  | 'output_too_large'
  | 'input_unavailable'
  | 'idle'
  | 'runner_stopped'
  | 'cancelled'
  | 'internal'

/** `error` is the text that the requester sees; `detail` what the log may say of it, without a payload. */
export type Failure = { code: FailureCode; error: string; detail: string }

export type Failed = { ok: false; failure: Failure }

export function failed(failure: Failure): Failed {
  return { ok: false, failure }
}

const quotedBytes = 2048

/** The first 2 KiB of a body, as text. A character cut in half at the end shows as U+FFFD. */
export function excerpt(body: Uint8Array): string {
  return Buffer.from(body.subarray(0, quotedBytes)).toString('utf8')
}

export { quotedBytes }
