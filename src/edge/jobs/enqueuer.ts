import { type Db, databaseTimeoutMs } from '../db/open.ts'
import { type EnqueueOptions, enqueue, insertJobs, selectExisting, textBytes } from './enqueue.ts'

/** `enqueue`, for a whole isolate: requests that come while one is on its way are stored together after it. */
export type Enqueuer = (options: EnqueueOptions) => Promise<Set<string>>

/** Requests and bytes of text that one flush takes. */
const maxRequests = 128
const maxBytes = 512 * 1024
/** A leader that has not come back by then may have been killed with its request: the next request leads those that wait. */
const leadMs = 3_000
/**
 * Those that a killed leader had taken along store their own jobs after this, longer than a statement may take. Storing an id twice
 * is harmless.
 */
const stuckMs = databaseTimeoutMs + 1_000

type Outcome =
  | { kind: 'stored'; ids: ReadonlySet<string> }
  | { kind: 'lead' }
  | { kind: 'failed'; error: unknown }
type Waiting = { options: EnqueueOptions; bytes: number; settle(outcome: Outcome): void }

/**
 * Group commit. Each write to the database is a round trip and a sync to disk, whether it carries one job or a hundred. The first
 * request stores at once, so an idle node is not slower; those that come meanwhile wait, and then one of them, not the first, stores
 * them all: on Workers a request may not do I/O for others for long after its own answer.
 */
export function createEnqueuer({ db, now }: { db: Db; now(): number }): Enqueuer {
  let waiting: Waiting[] = []
  let leadingSince: number | null = null

  async function lead(first: Waiting): Promise<Outcome> {
    const group = take(first)
    let outcome: Outcome
    try {
      const inserted = insertJobs(db, merge(group))
      first.options.onUnderway?.()
      outcome = { kind: 'stored', ids: await inserted }
    } catch (error) {
      outcome = { kind: 'failed', error }
    }
    for (const entry of group) entry.settle(outcome)
    const next = waiting[0]
    leadingSince = next === undefined ? null : now()
    next?.settle({ kind: 'lead' })
    return outcome
  }

  /** Of those that make the same job, one: whose a stored job is, the statement that stores it cannot tell. Others wait for the next. */
  function take(first: Waiting): Waiting[] {
    const group = [first]
    const left: Waiting[] = []
    const identities = new Set([identityOf(first.options)])
    let bytes = first.bytes
    for (const entry of waiting.filter(other => other !== first)) {
      const identity = identityOf(entry.options)
      const isFull = group.length === maxRequests || bytes + entry.bytes > maxBytes
      if (isFull || (identity !== null && identities.has(identity))) {
        left.push(entry)
        continue
      }
      group.push(entry)
      identities.add(identity)
      bytes += entry.bytes
    }
    waiting = left
    return group
  }

  async function follow(entry: Waiting, told: Promise<Outcome>): Promise<Outcome> {
    let timer: ReturnType<typeof setTimeout> | undefined
    const stuck = new Promise<null>(resolve => {
      timer = setTimeout(() => resolve(null), stuckMs)
    })
    const outcome = await Promise.race([told, stuck])
    clearTimeout(timer)
    if (outcome !== null) return outcome.kind === 'lead' ? await lead(entry) : outcome
    waiting = waiting.filter(other => other !== entry)
    const ids = await enqueue(db, entry.options)
    // The leader may have stored them before it died, and the queue be full since.
    const { owner, jobs } = entry.options
    const there = ids.size < jobs.length ? await selectExisting(db, { owner, jobs }) : []
    return { kind: 'stored', ids: new Set([...ids, ...there]) }
  }

  return async function enqueueTogether(options) {
    const bytes = options.jobs.reduce((sum, job) => sum + textBytes(job), 0)
    if (bytes > maxBytes) return await enqueue(db, options)
    const { promise: told, resolve: settle } = Promise.withResolvers<Outcome>()
    const entry: Waiting = { options, bytes, settle }
    let outcome: Outcome
    if (leadingSince !== null && now() - leadingSince < leadMs) {
      waiting.push(entry)
      outcome = await follow(entry, told)
    } else {
      leadingSince = now()
      outcome = await lead(entry)
    }
    if (outcome.kind === 'failed') throw outcome.error
    const ids = outcome.kind === 'stored' ? outcome.ids : new Set<string>()
    return new Set(options.jobs.map(job => job.id).filter(id => ids.has(id)))
  }
}

/** What makes two requests the same; null: nothing, since each makes jobs of its own. */
function identityOf({ owner, jobs: [job] }: EnqueueOptions): string | null {
  if (!job?.once) return null
  return job.once.key === null ? `id ${job.id}` : `key ${owner} ${job.once.key}`
}

/** One statement for each owner and policy: those are what its conditions speak of. */
function merge(group: readonly Waiting[]): EnqueueOptions[] {
  const merged = new Map<string, EnqueueOptions>()
  for (const { options } of group) {
    const key = `${options.epoch} ${options.owner}`
    const other = merged.get(key)
    merged.set(key, other ? { ...options, jobs: [...other.jobs, ...options.jobs] } : options)
  }
  return [...merged.values()]
}
