import * as v from 'valibot'
import { Finding, Gpu } from '../../protocol/host.ts'
import { Labels } from '../../protocol/labels.ts'

const Ms = v.pipe(v.number(), v.minValue(0))

/** What a runner tells of itself at its own address (`GET /status`): no secrets, no payloads. Times in milliseconds. */
export const RunnerStatus = v.object({
  version: v.string(),
  /** Of its key. */
  runner: v.string(),
  /** Of this process. */
  instance: v.string(),
  uptime_ms: Ms,
  /** Registered, and claiming jobs for one container at least. */
  ready: v.boolean(),
  /** Why it is not ready; empty when it is. */
  reasons: v.array(v.string()),
  edge: v.object({
    url: v.string(),
    registered: v.boolean(),
    mode: v.picklist(['run', 'pause', 'drain']),
    /** Since it answered well; null: never. */
    answered_ms_ago: v.nullable(Ms),
    /** Since it took a heartbeat; null: never. */
    heartbeat_ms_ago: v.nullable(Ms),
    round_trip_ms: Ms,
    trouble: v.nullable(v.string()),
  }),
  /** What jobs may ask of this host, as the edge is told it. */
  labels: Labels,
  gpus: v.array(Gpu),
  /** Where it writes, and where Docker does; null: nobody can say. */
  disks: v.array(v.object({ what: v.string(), path: v.string(), free_bytes: v.nullable(v.number()) })),
  /** What keeps it from working. */
  findings: v.array(Finding),
  containers: v.array(
    v.object({
      id: v.string(),
      health: v.picklist(['starting', 'ready', 'unhealthy']),
      /** Why it is not ready, for programs; null: it is, or nobody knows. */
      code: v.nullable(v.string()),
      detail: v.nullable(v.string()),
      slots: v.number(),
      busy: v.number(),
    }),
  ),
  jobs: v.array(
    v.object({
      id: v.string(),
      attempt: v.number(),
      containers: v.array(v.string()),
      stream: v.boolean(),
      for_ms: Ms,
    }),
  ),
  /** Finished, and not answered by the edge yet. */
  unreported: v.number(),
  spool: v.object({
    bytes: v.number(),
    max_bytes: v.number(),
    full: v.boolean(),
    writable: v.boolean(),
    /** Of `bytes`, the output of streams. */
    stream_bytes: v.number(),
  }),
})
export type RunnerStatus = v.InferOutput<typeof RunnerStatus>
