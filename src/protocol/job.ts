import * as v from 'valibot'
import { DeliveryView } from './chain.ts'
import { Images } from './container.ts'
import { Requires } from './labels.ts'
import { limits } from './limits.ts'

export const JobId = v.pipe(v.string(), v.uuid(), v.description('UUIDv7.'))

/** Where a job's input came from and where its answer goes, as containers are told (reference node 2.2). */
export const source = { onchain: 0, offchain: 1 } as const
export const destination = { onchain: 0, offchain: 1, stream: 2 } as const

function seconds({ least, most }: { least: number; most: number }) {
  const message = `must be a number of seconds from ${least} to ${most}`
  return v.pipe(v.number(), v.minValue(least, message), v.maxValue(most, message))
}

/**
 * `POST /api/jobs` without `data`, which is carried as bytes and never parsed into this. Other keys are ignored, `id`, `ip` and
 * `type` among them: identity comes from the platform.
 */
export const JobRequest = v.object({
  containers: v.pipe(v.array(v.string()), v.description('Chain of container ids, called in order.')),
  requires_proof: v.nullish(v.boolean(), false),
  requires: v.pipe(
    v.nullish(Requires),
    v.description(
      'Labels that the host must have, such as `{"gpu": "H100", "gpu_memory_gib": 40}`: text is the label\'s, of `gpu` words of its name; a number is the least.',
    ),
  ),
  timeout: v.pipe(
    v.nullish(seconds({ least: 0.001, most: limits.timeoutSeconds })),
    v.description("Seconds that the containers may take, all together; beside each container's own bound."),
  ),
  expires_in: v.pipe(
    v.nullish(seconds({ least: 1, most: limits.expirySeconds })),
    v.description("Seconds that the job may wait for a runner; the node's own bound if absent."),
  ),
  priority: v.pipe(
    v.nullish(
      v.pipe(
        v.number(),
        v.check(
          value => Number.isInteger(value) && Math.abs(value) <= limits.priority,
          `must be a whole number from -${limits.priority} to ${limits.priority}`,
        ),
      ),
      0,
    ),
    v.description('Higher goes first.'),
  ),
  detach: v.pipe(
    v.nullish(v.union([v.boolean(), seconds({ least: 0, most: limits.timeoutSeconds })]), false),
    v.description(
      'Of a stream: `true` lets it run to its end though nobody reads; a number, for so many seconds. Else it is cancelled when its client leaves.',
    ),
  ),
})
export type JobRequest = v.InferOutput<typeof JobRequest>

/** The whole body, for the OpenAPI document and typed clients. */
export const JobRequestBody = v.object({
  ...JobRequest.entries,
  data: v.pipe(
    v.record(v.string(), v.unknown()),
    v.description('Input of the first container; reaches it byte for byte.'),
  ),
})
export type JobRequestBody = v.InferInput<typeof JobRequestBody>

export const JobCreated = v.object({ id: JobId })
export type JobCreated = v.InferOutput<typeof JobCreated>

/** A job's life. `receiving` is not among them: a job without its whole input has no id that anyone was told. */
export const jobStates = ['queued', 'running', 'success', 'failed', 'cancelled', 'expired'] as const
export type JobState = (typeof jobStates)[number]

/** The reference's three words (its node page, 5.1) for our six. */
export const jobStatus = {
  queued: 'running',
  running: 'running',
  success: 'success',
  failed: 'failed',
  cancelled: 'failed',
  expired: 'failed',
} as const satisfies Record<JobState, 'running' | 'success' | 'failed'>

export const ContainerResult = v.union([
  v.object({ container: v.string(), output: v.unknown() }),
  v.object({
    container: v.string(),
    error: v.string(),
    code: v.optional(v.string()),
    output: v.pipe(v.optional(v.unknown()), v.description('What a stream said before it failed.')),
  }),
])
export type ContainerResult = v.InferOutput<typeof ContainerResult>

/** The queue's jobs have UUIDs; statuses written through `PUT /api/status` have the ids that their writers chose. */
const AnyJobId = v.pipe(v.string(), v.minLength(1), v.maxLength(128))

/** What `output` of a streaming job is: its bytes as text, or in base64 where they are not UTF-8. */
export const StreamOutput = v.object({ output: v.string(), encoding: v.optional(v.literal('base64')) })

/** One element of `GET /api/jobs?id=`, in the reference's fields. */
export const JobResult = v.object({
  id: AnyJobId,
  status: v.picklist(['running', 'success', 'failed']),
  result: v.nullable(ContainerResult),
  intermediate_results: v.optional(v.array(ContainerResult)),
})
export type JobResult = v.InferOutput<typeof JobResult>

const Time = v.pipe(v.string(), v.isoTimestamp())

/** Why no host has taken a job that waits. */
export const Waiting = v.object({
  code: v.pipe(
    v.string(),
    v.description('`busy`, `no_host`, `unmet_requires`, `offline`, `held` or `not_ready`.'),
  ),
  message: v.string(),
})
export type Waiting = v.InferOutput<typeof Waiting>

/** `GET /api/jobs/:id`: one job in full. Times are RFC 3339, UTC. */
export const Job = v.object({
  id: AnyJobId,
  state: v.picklist(jobStates),
  status: v.picklist(['running', 'success', 'failed']),
  containers: v.array(v.string()),
  requires_proof: v.boolean(),
  requires: v.pipe(
    v.optional(Requires),
    v.description('Labels that its host must have; absent: any host will do.'),
  ),
  attempt: v.pipe(v.number(), v.description('Leases given so far.')),
  tries: v.pipe(v.number(), v.description('Leases whose runner started the first container.')),
  runner: v.nullable(v.string()),
  created_at: Time,
  expires_at: v.pipe(Time, v.description('When the job expires if it is still queued.')),
  claimed_at: v.nullable(Time),
  started_at: v.nullable(Time),
  finished_at: v.nullable(Time),
  error: v.nullable(v.object({ code: v.string(), message: v.string() })),
  result: v.nullable(ContainerResult),
  intermediate_results: v.array(ContainerResult),
  waiting: v.pipe(
    v.nullish(Waiting, null),
    v.description('Of a job that has been `queued` for some seconds: why no host has taken it.'),
  ),
  images: v.pipe(
    v.nullish(Images, null),
    v.description(
      'By container, which image computed it: `name@sha256:…` of a registry, or `sha256:…`, its id on that host. As the runner says.',
    ),
  ),
  stream: v.pipe(
    v.nullish(v.object({ bytes: v.number(), truncated: v.boolean() }), null),
    v.description(
      'Of a streaming job: bytes of output so far; `truncated`: it had more than the node keeps.',
    ),
  ),
  subscription: v.pipe(
    v.nullish(v.object({ chain: v.number(), id: v.nullable(v.number()), delivery: DeliveryView }), null),
    v.description(
      'Of a job for a contract: its subscription, and how its answer fares. `id` null: the answer creates the subscription.',
    ),
  ),
})
export type Job = v.InferOutput<typeof Job>

/** `PUT /api/status`. `data` and everything else are ignored. */
export const StatusRequest = v.object({
  id: v.pipe(v.string(), v.regex(/^[\x21-\x7e]{1,128}$/, 'must be 1-128 visible ASCII characters')),
  status: v.string(),
  containers: v.pipe(v.array(v.pipe(v.string(), v.regex(/^[\x21-\x2b\x2d-\x7e]{1,128}$/))), v.maxLength(100)),
})
export type StatusRequest = v.InferOutput<typeof StatusRequest>
