const MiB = 1024 * 1024

/** Every bound of the server. Sizes and the stream's idle time are sqld's defaults where it has one. */
export type Limits = {
  bodyBytes: number
  responseBytes: number
  rowBytes: number
  storedSqls: number
  storedSqlBytes: number
  connections: number
  statements: number
  streamIdleMs: number
  tombstoneMs: number
  busyMs: number
}

export const defaultLimits: Limits = {
  bodyBytes: 32 * MiB,
  responseBytes: 10 * MiB,
  rowBytes: 5 * MiB,
  storedSqls: 50,
  storedSqlBytes: 5_000,
  connections: 128,
  statements: 256,
  streamIdleMs: 10_000,
  // How long an expired stream still answers "expired" before its baton is merely unknown.
  tombstoneMs: 300_000,
  busyMs: 5_000,
}
