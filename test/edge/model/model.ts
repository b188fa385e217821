import { maxAttempts, maxUnheardAttempts } from '../../../src/edge/jobs/claim.ts'
import { limits } from '../../../src/protocol/limits.ts'
import { leaseMs, maxRunMs } from '../../support/queue.ts'

/** The queue as plain data: what `docs/queue.md` says, without SQL. */

export const expiryMs = 3 * leaseMs
export const retentionMs = 8 * leaseMs
/** So few that random scripts use them up. */
export const maxTries = 1
/** How long an upload may take, as `beginReceive` has it. */
export const receiveMs = 10 * 60_000

/** Processes of runners. 0 and 2 are two of the same runner, with one key. */
export const runnerOf = [0, 1, 0] as const

export type ModelJob = {
  id: string
  route: string
  priority: number
  createdAt: number
  state: 'receiving' | 'queued' | 'running' | 'success' | 'failed' | 'cancelled' | 'expired'
  attempt: number
  unheard: number
  tries: number
  startedAttempt: number
  /** The process that has, or had, the lease. */
  host: number | null
  claimedAt: number
  leaseUntil: number
  expiresAt: number
  finishedAt: number | null
  /** Ended by a report, and not by the queue. */
  reported: boolean
  fingerprint: string | null
  isStream: boolean
  /** Bytes of it that are stored. */
  output: number
}

export type ModelKey = { key: string; fingerprint: string; job: string; createdAt: number }

export type Model = {
  /** By the database's clock, which may be set back. */
  now: number
  jobs: ModelJob[]
  keys: ModelKey[]
  /** By runner. */
  revoked: boolean[]
  /** By process: whether it has ever claimed. */
  claimed: boolean[]
}

export function newModel(now: number): Model {
  return { now, jobs: [], keys: [], revoked: [false, false], claimed: [false, false, false] }
}

export type NewModelJob = Pick<ModelJob, 'id' | 'route' | 'priority' | 'fingerprint'>

export function addJob(model: Model, job: NewModelJob, state: 'receiving' | 'queued' = 'queued'): void {
  model.jobs.push({
    ...job,
    state,
    createdAt: model.now,
    expiresAt: model.now + (state === 'queued' ? expiryMs : receiveMs),
    attempt: 0,
    unheard: 0,
    tries: 0,
    startedAttempt: 0,
    host: null,
    claimedAt: 0,
    leaseUntil: 0,
    finishedAt: null,
    reported: false,
    isStream: false,
    output: 0,
  })
}

export const waits = ({ state }: ModelJob) => state === 'queued' || state === 'running'

export function end(model: Model, job: ModelJob, state: ModelJob['state']): void {
  job.state = state
  job.finishedAt = model.now
}

function putBack(model: Model, job: ModelJob, isSpent = job.attempt - job.unheard >= maxAttempts): void {
  if (job.tries >= maxTries || isSpent || job.output > 0) end(model, job, 'failed')
  else job.state = 'queued'
}

export function lapse(model: Model, isSpared: (job: ModelJob) => boolean = () => false): void {
  for (const job of model.jobs)
    if (job.state === 'running' && job.leaseUntil <= model.now && !isSpared(job)) putBack(model, job)
}

export type ModelClaim = {
  host: number
  slots: ReadonlyMap<string, number>
  max: number
  /** `id:attempt` of each lease that it names. */
  holding: ReadonlySet<string>
  isLate: boolean
}

/** @returns ids of the jobs given; null when the claim does not pass. */
export function claim(model: Model, { host, slots, max, holding, isLate }: ModelClaim): string[] | null {
  const isHeld = ({ id, attempt }: ModelJob) => holding.has(`${id}:${attempt}`)
  lapse(model, job => job.host === host && isHeld(job))
  if (isLate || isRevoked(model, host)) return null
  model.claimed[host] = true
  for (const job of model.jobs) {
    const isLost = job.state === 'running' && job.host === host && !isHeld(job)
    if (!isLost) continue
    putBack(model, job, job.attempt >= maxUnheardAttempts)
    job.unheard += 1
  }
  const chosen = choose(model, { slots, max, isHeld })
  for (const job of chosen) {
    job.attempt += 1
    Object.assign(job, { state: 'running', host, claimedAt: model.now, leaseUntil: model.now + leaseMs })
  }
  return chosen.map(({ id }) => id)
}

/** By priority, then arrival, no more than the slots of each route, and none that the process holds. */
function choose(
  model: Model,
  { slots, max, isHeld }: Pick<ModelClaim, 'slots' | 'max'> & { isHeld(job: ModelJob): boolean },
): ModelJob[] {
  const given = new Map<string, number>()
  const chosen: ModelJob[] = []
  const waiting = model.jobs.filter(
    job => job.state === 'queued' && job.expiresAt > model.now && !isHeld(job),
  )
  for (const job of waiting.toSorted(byTurn)) {
    const free = slots.get(job.route) ?? Math.min(...job.route.split(',').map(name => slots.get(name) ?? 0))
    const taken = given.get(job.route) ?? 0
    if (taken >= free || chosen.length === max) continue
    given.set(job.route, taken + 1)
    chosen.push(job)
  }
  return chosen
}

function byTurn(x: ModelJob, y: ModelJob): number {
  return y.priority - x.priority || x.createdAt - y.createdAt || (x.id < y.id ? -1 : 1)
}

export function isRevoked(model: Model, host: number): boolean {
  return model.revoked[runnerOf[host] ?? 0] === true
}

/** A lease as some process remembers it. */
export type Remembered = { job: ModelJob; attempt: number; host: number }

/** Whether a write under this lease counts: the current attempt, by any process of its runner, before the job has ended. */
export function isCurrent({ job, attempt, host }: Remembered): boolean {
  return attempt === job.attempt && job.host !== null && runnerOf[job.host] === runnerOf[host] && waits(job)
}

function countTry(job: ModelJob): void {
  if (job.startedAttempt < job.attempt) job.tries += 1
  job.startedAttempt = job.attempt
}

/** @returns whether the lease is kept. */
export function beat(model: Model, lease: Remembered, { started }: { started: boolean }): boolean {
  const { job, host } = lease
  if (isRevoked(model, host) || !isCurrent(lease) || job.claimedAt <= model.now - maxRunMs) return false
  Object.assign(job, { state: 'running', host, leaseUntil: model.now + leaseMs })
  if (started) countTry(job)
  return true
}

/** @returns null when the runner is revoked. */
export function report(
  model: Model,
  lease: Remembered,
  state: 'success' | 'failed',
): 'accepted' | 'duplicate' | 'stale' | null {
  const { job, attempt, host } = lease
  if (isRevoked(model, host)) return null
  if (isCurrent(lease)) {
    countTry(job)
    end(model, job, state)
    job.reported = true
    return 'accepted'
  }
  const isSame = attempt === job.attempt && job.host !== null && runnerOf[job.host] === runnerOf[host]
  return job.reported && isSame ? 'duplicate' : 'stale'
}

export function sweep(model: Model): void {
  const { now } = model
  lapse(model)
  for (const job of model.jobs) if (job.state === 'queued' && job.expiresAt <= now) end(model, job, 'expired')
  model.jobs = model.jobs.filter(
    job =>
      !(job.state === 'receiving' && job.expiresAt <= now) &&
      !(job.finishedAt !== null && job.finishedAt <= now - retentionMs),
  )
  model.keys = model.keys.filter(({ createdAt }) => createdAt > now - limits.idempotencyMs)
}

/** The next byte of a stream. @returns whether it is stored. */
export function output(model: Model, lease: Remembered): boolean {
  const { job, host } = lease
  if (!job.isStream || !isCurrent(lease) || isRevoked(model, host)) return false
  job.output += 1
  if (job.state === 'queued') Object.assign(job, { state: 'running', leaseUntil: model.now + leaseMs })
  return true
}
