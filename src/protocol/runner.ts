import * as v from 'valibot'
import { ContainerId, ContainerPolicy, Images } from './container.ts'
import { HostReport } from './host.ts'
import { JobId } from './job.ts'
import { Labels } from './labels.ts'
import { limits } from './limits.ts'
import { Text } from './text.ts'

/**
 * What a runner and an edge say to each other. Every request is `POST` with a JSON body unless said otherwise, and carries
 * `Authorization: Bearer <EdDSA JWT>`: `iss` and `kid` = the runner's id, `aud` = the edge's configured origin, `exp - iat` <= 60 s.
 * Payloads (`data`, `result`, `intermediate`) are JSON texts inside strings, so that their bytes survive the trip.
 */

/** A process of a runner. Leases belong to instances: a restarted runner is another one. */
export const InstanceId = v.pipe(v.string(), v.uuid())

const count = v.pipe(v.number(), v.integer(), v.minValue(0))

/** A lease: one attempt at one job. `attempt` fences every write. */
export const Lease = v.object({ id: JobId, attempt: v.pipe(count, v.minValue(1)) })
export type Lease = v.InferOutput<typeof Lease>

const Leases = v.pipe(v.array(Lease), v.maxLength(limits.holding))

// --- POST /runner/register ---------------------------------------------------------------------------------------------

/** `HostLabels` has these; a list, since containers may be called `constructor`. */
export const GpuLabels = v.pipe(
  v.array(v.object({ id: ContainerId, labels: Labels })),
  v.maxLength(limits.containersPerRunner),
  v.check(
    all => JSON.stringify(all).length <= limits.gpuLabelChars,
    `must be at most ${limits.gpuLabelChars} characters`,
  ),
)

export const RegisterRequest = v.object({
  instance: InstanceId,
  version: v.pipe(Text, v.maxLength(64)),
  containers: v.pipe(v.array(ContainerPolicy), v.maxLength(limits.containersPerRunner)),
  labels: v.pipe(
    v.optional(Labels),
    v.description('What the host has, for jobs that ask for it; absent: as last told.'),
  ),
  gpu_labels: v.pipe(
    v.optional(GpuLabels),
    v.description(
      'What its containers have beside it, by the GPUs that each was given; absent: as last told.',
    ),
  ),
})
export type RegisterRequest = v.InferInput<typeof RegisterRequest>

/** The edge's pace, so that it can be changed in one place. All in milliseconds. */
export const RegisterAnswer = v.object({
  lease_ms: count,
  heartbeat_ms: count,
  wait_ms: v.pipe(count, v.description('Longest wait of a claim or control request.')),
})
export type RegisterAnswer = v.InferOutput<typeof RegisterAnswer>

// --- POST /runner/claim ------------------------------------------------------------------------------------------------

/**
 * `seq` rises with each claim of an instance; a claim that arrives behind a later one gets nothing. `holding` is every lease the
 * instance knows of: leases that the edge gave it and that are not named were lost on the way, and are given again at once.
 * `routes` are single containers (or declared chains, joined by commas) with their free slots; a chain whose every container is
 * listed with a free slot is served too.
 */
export const ClaimRequest = v.object({
  instance: InstanceId,
  seq: v.pipe(count, v.minValue(1)),
  routes: v.pipe(
    v.array(v.object({ route: v.pipe(v.string(), v.minLength(1), v.maxLength(2048)), slots: count })),
    v.maxLength(limits.containersPerRunner),
  ),
  holding: Leases,
  max: v.pipe(count, v.minValue(1), v.maxValue(limits.claimJobs)),
  wait_ms: v.pipe(count, v.maxValue(limits.claimWaitMs)),
})
export type ClaimRequest = v.InferOutput<typeof ClaimRequest>

export const ClaimedJob = v.object({
  ...Lease.entries,
  containers: v.pipe(v.array(ContainerId), v.minLength(1)),
  source: v.picklist([0, 1]),
  destination: v.picklist([0, 1, 2]),
  requires_proof: v.boolean(),
  timeout_ms: v.pipe(
    v.nullish(v.pipe(count, v.minValue(1)), null),
    v.description('How long the containers may take, all together; null: as long as each may by itself.'),
  ),
  data: v.pipe(
    v.nullable(v.string()),
    v.description('JSON text; null: read it from /runner/jobs/:id/input.'),
  ),
  data_bytes: count,
  endpoint: v.pipe(
    v.nullish(v.picklist(['openai']), null),
    v.description(
      'null: `/service_output`; `openai`: the input is posted as it is to `/v1/chat/completions` of the container.',
    ),
  ),
})
export type ClaimedJob = v.InferOutput<typeof ClaimedJob>

export const ClaimAnswer = v.object({ jobs: v.array(ClaimedJob) })
export type ClaimAnswer = v.InferOutput<typeof ClaimAnswer>

// --- GET /runner/jobs/:id/input?attempt=N ------------------------------------------------------------------------------
// 200, application/octet-stream: the bytes of `data`, in full. 409 when the lease is not the caller's.

// --- POST /runner/heartbeat --------------------------------------------------------------------------------------------

const Health = v.picklist(['starting', 'ready', 'unhealthy'])

/** Renews the leases named. `started`: the first container of this attempt has been called. */
export const HeartbeatRequest = v.object({
  instance: InstanceId,
  leases: v.pipe(v.array(v.object({ ...Lease.entries, started: v.boolean() })), v.maxLength(limits.holding)),
  containers: v.pipe(
    v.array(
      v.object({
        id: ContainerId,
        health: Health,
        code: v.pipe(
          v.optional(v.pipe(Text, v.maxLength(64))),
          v.description('Why it is not ready, for programs: `gpu_lost`, `undead`, ...'),
        ),
        detail: v.optional(v.pipe(v.string(), v.maxLength(1024))),
      }),
    ),
    v.maxLength(limits.containersPerRunner),
  ),
  host: v.pipe(v.optional(HostReport), v.description('Absent: as it was last told.')),
})
export type HeartbeatRequest = v.InferOutput<typeof HeartbeatRequest>

export const HeartbeatAnswer = v.object({
  lost: v.pipe(
    v.array(Lease),
    v.description("Leases named that are no longer the caller's: stop working on them."),
  ),
})
export type HeartbeatAnswer = v.InferOutput<typeof HeartbeatAnswer>

// --- POST /runner/control ----------------------------------------------------------------------------------------------

/** Long poll: answered as soon as there is something to say, else after `wait_ms` with `mode` alone. */
export const ControlRequest = v.object({
  instance: InstanceId,
  holding: Leases,
  mode: v.pipe(
    v.picklist(['run', 'pause', 'drain']),
    v.description('The mode the runner is in: a differing one is news.'),
  ),
  wait_ms: v.pipe(count, v.maxValue(limits.claimWaitMs)),
})
export type ControlRequest = v.InferOutput<typeof ControlRequest>

export const Question = v.object({
  id: JobId,
  kind: v.literal('resources'),
  model_id: v.nullable(v.string()),
})
export type Question = v.InferOutput<typeof Question>

/**
 * `cancel`: leases to abandon. `mode`: `pause` claims nothing until told `run`; `drain` finishes what it holds and exits 0.
 * `questions`: ask the containers and post the answer.
 */
export const ControlAnswer = v.object({
  cancel: v.array(Lease),
  mode: v.picklist(['run', 'pause', 'drain']),
  questions: v.array(Question),
})
export type ControlAnswer = v.InferOutput<typeof ControlAnswer>

/** `POST /runner/answer`: what the containers said to a question; `answer` is JSON text, an object by container id. */
export const QuestionAnswer = v.object({
  instance: InstanceId,
  question: JobId,
  answer: v.pipe(v.string(), v.maxLength(1024 * 1024)),
})
export type QuestionAnswer = v.InferOutput<typeof QuestionAnswer>

// --- PUT /runner/jobs/:id/result/:seq?attempt=N&kind=result|intermediate ------------------------------------------------
// Body: one part, exactly `limits.partBytes` except the last. 200 `{}`; the same part again is harmless; 409 when stale.

// --- PUT /runner/jobs/:id/stream?attempt=N&from=OFFSET -----------------------------------------------------------------
// Jobs whose `destination` is 2: the bytes of the container's output from OFFSET on, while they come. One body ends after at most
// `limits.streamPartBytes` or `limits.streamPartMs`; another one follows. An empty body asks what the edge has. 409 when stale.

/**
 * `have`: the edge has every byte before this offset, and needs none of them again; the next upload begins here. An upload that began
 * beyond it is answered at once. `stop`: nobody wants the rest, the container's call may be ended.
 */
export const StreamAnswer = v.object({ have: count, stop: v.boolean() })
export type StreamAnswer = v.InferOutput<typeof StreamAnswer>

// --- POST /runner/report -----------------------------------------------------------------------------------------------

/** A payload of a report: JSON text up to `limits.inlineBytes`, or the number and bytes of parts uploaded before. */
export const Payload = v.union([
  v.object({ text: v.string() }),
  v.object({ parts: v.pipe(count, v.minValue(1)), bytes: v.pipe(count, v.maxValue(limits.resultBytes)) }),
])
export type Payload = v.InferOutput<typeof Payload>

/**
 * `result`: JSON text of `{"container", "output"}` or `{"container", "error"}` (reference node 2.3), the last one run;
 * `intermediate`: JSON text of the array of those before it, null when there is none.
 */
export const ReportedResult = v.object({
  ...Lease.entries,
  status: v.picklist(['success', 'failed']),
  error_code: v.nullable(v.pipe(v.string(), v.regex(/^[\x21-\x7e]{0,64}$/, 'must be visible ASCII'))),
  result: Payload,
  intermediate: v.nullable(Payload),
  images: v.pipe(v.optional(v.nullable(Images)), v.description('Of the containers that were called.')),
  stream: v.pipe(
    v.nullish(v.object({ bytes: count, utf8: v.boolean() }), null),
    v.description(
      'Of a streaming job: its output, uploaded before, as far as the container came. `result` is then `{"container"}`, or with `error` and `code`.',
    ),
  ),
})
export type ReportedResult = v.InferOutput<typeof ReportedResult>

export const ReportRequest = v.object({
  instance: InstanceId,
  results: v.pipe(v.array(ReportedResult), v.minLength(1), v.maxLength(limits.reportResults)),
})
export type ReportRequest = v.InferOutput<typeof ReportRequest>

/**
 * `accepted`: stored. `duplicate`: this attempt's result is stored already; not an error. `stale`: the job went on without this
 * attempt (claimed again, cancelled, expired). In every case the runner may forget the result.
 */
export const ReportAnswer = v.object({
  answers: v.array(v.object({ ...Lease.entries, answer: v.picklist(['accepted', 'duplicate', 'stale']) })),
})
export type ReportAnswer = v.InferOutput<typeof ReportAnswer>

// --- /admin/runners ----------------------------------------------------------------------------------------------------

/** `POST /admin/runners`: enrols a host. `public_key`: the raw 32 bytes of an Ed25519 key, base64url (a JWK's `x`). */
export const EnrolRequest = v.object({
  name: v.pipe(Text, v.minLength(1), v.maxLength(128)),
  // The last character holds four bits of the key and two zeros: a key is written in one way only, and so has one id.
  public_key: v.pipe(
    v.string(),
    v.regex(/^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/, 'must be 32 bytes in base64url'),
  ),
})
export type EnrolRequest = v.InferOutput<typeof EnrolRequest>

/** A runner as operators see it. `id` is the RFC 7638 thumbprint of its public key. */
export const Runner = v.object({
  id: v.string(),
  name: v.string(),
  enrolled_at: v.string(),
  revoked_at: v.nullable(v.string()),
  mode: v.picklist(['run', 'pause', 'drain']),
  last_seen_at: v.nullable(v.string()),
  containers: v.array(v.string()),
  labels: v.optional(Labels, {}),
  gpu_labels: v.optional(GpuLabels, []),
  process: v.pipe(
    v.nullish(
      v.object({
        instance: InstanceId,
        version: v.string(),
        unready: v.pipe(
          v.array(
            v.object({
              id: v.string(),
              health: Health,
              code: v.optional(v.string()),
              detail: v.optional(v.string()),
            }),
          ),
          v.description('Containers that are not ready, and why.'),
        ),
        host: v.nullable(HostReport),
      }),
      null,
    ),
    v.description('Its process that was heard of last; null: none was in the last two minutes.'),
  ),
})
export type Runner = v.InferOutput<typeof Runner>

/** `PATCH /admin/runners/:id`. */
export const RunnerMode = v.object({ mode: v.picklist(['run', 'pause', 'drain']) })
export type RunnerMode = v.InferOutput<typeof RunnerMode>
