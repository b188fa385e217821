import { type SQL, sql } from 'drizzle-orm'
import type { HostLabels } from '../../protocol/labels.ts'
import type { Db } from '../db/open.ts'
import { containersIn, namesIn } from './route.ts'

export type ClaimOptions = {
  runner: string
  instance: string
  /** Rises with every claim of the instance. */
  seq: number
  /** Made afresh for each request: a claim may look several times while it waits, one with an old `seq` not at all. */
  token: string
  /** Free slots by container, or by declared chain. */
  routes: readonly { route: string; slots: number }[]
  /** Every lease that the instance knows of. */
  holding: readonly { id: string; attempt: number }[]
  max: number
  /** Input bytes that the answer may carry, all jobs together. */
  inlineBytes: number
  leaseMs: number
  maxTries: number
}

/**
 * `passed` false: an unknown or revoked runner or instance, one told to pause, or a claim overtaken by a later one. `lapsed`: leases
 * that this claim ended, of this instance or another. `host`: what the instance's has.
 */
export type Claimed = { passed: boolean; jobs: ClaimedRow[]; lapsed: Lapsed[]; host: HostLabels }

/** A job whose lease has ended without a result. */
export type Lapsed = { id: string; route: string; state: 'queued' | 'failed'; watched: number }

export type ClaimedRow = {
  id: string
  attempt: number
  route: string
  source: number
  destination: number
  requires_proof: number
  timeout_ms: number | null
  data_bytes: number
  data: string | null
  endpoint: 'openai' | null
}

/** Leases that a host may have heard of, started or not: what ends a job that kills its host before it can say so. */
export const maxAttempts = 10
/**
 * Leases in all, where the last one was lost on its way to a host that claims again: whenever a container becomes free a claim may be cut
 * off, many times within the second that a job is given out and put back, and no host has come to harm.
 */
export const maxUnheardAttempts = 100

/** Lapsed leases put back by one claim. More wait for the next. */
const lapsedPerClaim = 100

/**
 * Gives an instance the best jobs that it can serve, in one round trip of four statements: pass (and note the claim's number),
 * put back lapsed leases, put back leases whose answer was lost, claim. Each carries the state that it expects, since a batch
 * goes on when a statement matches nothing.
 *
 * The claim looks through the routes that have queued jobs, never through the jobs: for each servable route it seeks the first
 * `max` in (route, state, priority, time of arrival), or as many as the most free slots. Measured by `bench/queue.ts`.
 */
export async function claim({ orm, now }: Db, options: ClaimOptions): Promise<Claimed> {
  const { runner, instance, seq, token, max } = options
  const passed = sql`exists (select 1 from instances where id = ${instance} and claim_token = ${token})`
  const held = sql`instance = ${instance} and id || ':' || attempt in (
    select (value ->> 'id') || ':' || (value ->> 'attempt') from json_each(${JSON.stringify(options.holding)}))`
  const [passes, lapsed, lost, jobs] = await orm.batch([
    orm.all<{ labels: string; gpu_labels: string }>(sql`
      update instances set claim_seq = ${seq}, claim_token = ${token}, last_seen_at = ${now}
      where id = ${instance} and runner = ${runner} and (claim_seq < ${seq} or claim_token = ${token})
        and exists (select 1 from runners where id = ${runner} and revoked_at is null and mode = 'run')
      returning coalesce(labels, (select labels from runners where id = ${runner})) as labels,
        coalesce(gpu_labels, (select gpu_labels from runners where id = ${runner})) as gpu_labels`),
    orm.all<Lapsed>(lapse({ now, maxTries: options.maxTries, limit: lapsedPerClaim, spared: held })),
    orm.all<Lapsed>(
      putBack({
        now,
        maxTries: options.maxTries,
        leases: sql`state = 'running' and instance = ${instance} and ${passed} and not (${held})`,
        bound: unheard,
      }),
    ),
    orm.all<ClaimedRow>(sql`
      update jobs set state = 'running', attempt = attempt + 1, runner = ${runner}, instance = ${instance},
        claimed_at = ${now}, lease_expires_at = ${now} + ${options.leaseMs}
      where ${passed} and id in (${best(options, now)})
      returning id, attempt, route, source, destination, requires_proof, timeout_ms, data_bytes, endpoint,
        case when data_parts = 0 and data_bytes <= ${Math.floor(options.inlineBytes / max)} then data end as data`),
  ])
  const claimed = new Set(jobs.map(({ id }) => id))
  return {
    passed: passes.length === 1,
    jobs: jobs.sort((a, b) => (a.id < b.id ? -1 : 1)),
    lapsed: [...lapsed, ...lost].filter(({ id }) => !claimed.has(id)),
    host: {
      labels: JSON.parse(passes[0]?.labels ?? '{}') as HostLabels['labels'],
      gpu_labels: JSON.parse(passes[0]?.gpu_labels ?? '[]') as HostLabels['gpu_labels'],
    },
  }
}

/**
 * `waiting`: whether any job waits at all. `lapsed`: whether any lease has lapsed and was not put back. `lapseMs`: until the first of the
 * others lapses unless it is renewed; null: there is none.
 */
export type Outlook = { waiting: boolean; lapsed: boolean; lapseMs: number | null }

/** What a claim that has found nothing asks before it looks again: looking writes, asking does not. */
export async function readOutlook({ orm, now }: Db): Promise<Outlook> {
  const [row] = await orm.all<{ waiting: number; lapsed: number; lapse_ms: number | null }>(sql`
    select exists (select 1 from queued_routes limit 1) as waiting,
      exists (select 1 from jobs where state = 'running' and lease_expires_at <= ${now}) as lapsed,
      (select min(lease_expires_at) from jobs where state = 'running' and lease_expires_at > ${now}) - ${now} as lapse_ms`)
  return { waiting: row?.waiting === 1, lapsed: row?.lapsed === 1, lapseMs: row?.lapse_ms ?? null }
}

/**
 * Ids of the jobs to claim. Walks `queued_routes` (a row for each route with waiting jobs, not for each job); a route's slots
 * are its own when its containers are listed as such, else the least among them, 0 if one is not listed. Whatever a runner lists, it is given
 * only what it has registered, since that is what the policy was made of, and what its host, with one of the job's containers, has the labels for. Nor is it given a job that it
 * holds: when a lease has lapsed because the edge or the database stood still, the next claim of its holder may come before the heartbeat or
 * the report.
 */
function best({ runner, instance, routes, holding, max }: ClaimOptions, now: SQL): SQL {
  const slots = JSON.stringify(Object.fromEntries(routes.map(({ route, slots }) => [route, slots])))
  // Of each route as many as any may give: SQLite takes no column for a limit.
  const perRoute = Math.min(max, Math.max(0, ...routes.map(({ slots }) => slots)))
  return sql`
    with free (route, slots) as materialized (select key, value from json_each(${slots})),
    registered (container) as materialized (
      select c.value ->> 'id' from runners join json_each(runners.containers) as c where runners.id = ${runner}),
    told (labels, gpu_labels) as materialized (
      select coalesce((select labels from instances where id = ${instance}), labels),
        coalesce((select gpu_labels from instances where id = ${instance}), gpu_labels)
      from runners where id = ${runner}),
    have (container, label, value) as materialized (
      select null, label.key, one.value from told join json_each(told.labels) as label join json_each(label.value) as one
      union all
      select given.value ->> 'id', label.key, one.value from told join json_each(told.gpu_labels) as given
        join json_each(given.value -> 'labels') as label join json_each(label.value) as one),
    waits (route, names, needs) as materialized (
      select route, ${namesIn(sql`route`)}, ${needsOf(sql`route`)} from queued_routes as q),
    servable (route, names, slots) as materialized (
      select route, names, slots from (
        select w.route, w.names, coalesce(
          (select slots from free where free.route = w.names),
          (select min(coalesce(free.slots, 0))
            from ${containersIn(sql`w.names`)} as c left join free on free.route = c.value)
        ) as slots
        from waits as w
        where not exists (
          select 1 from ${containersIn(sql`w.names`)} as c where c.value not in (select container from registered))
          and ${isMet(sql`w.needs`, sql`w.names`)})
      where slots > 0),
    candidate (id, priority, created_at, place, slots) as materialized (
      select job.id, job.priority, job.created_at,
        row_number() over (partition by servable.names order by job.priority desc, job.created_at, job.id), servable.slots
      from servable cross join jobs as job on job.id in (
        select waiting.id from jobs as waiting
        where waiting.route = servable.route and waiting.state = 'queued' and waiting.expires_at > ${now}
          and waiting.id not in (
            select held.id from json_each(${JSON.stringify(holding)}) as lease
            join jobs as held on held.id = lease.value ->> 'id' and held.attempt = lease.value ->> 'attempt')
        order by waiting.priority desc, waiting.created_at, waiting.id limit ${perRoute}))
    select id from candidate where place <= slots order by priority desc, created_at, id limit ${max}`
}

/** What a route requires of its host, as JSON; protocol's `requiresOf` says the same. */
function needsOf(route: SQL): SQL {
  const escaped = sql`substr(${route}, instr(${route}, ' ') + 1)`
  return sql`iif(instr(${route}, ' ') = 0, '{}',
    replace(replace(replace(replace(${escaped}, '''', '"'), '~2', '\\'), '~1', ''''), '~0', '~'))`
}

/** Whether the labels in `have`, as one of the containers has them, are what is needed; protocol's `meets` says the same. */
function isMet(needs: SQL, names: SQL): SQL {
  return sql`exists (select 1 from ${containersIn(names)} as one where not exists (
    select 1 from json_each(${needs}) as need
    where not exists (
      select 1 from have where have.label = need.key and (have.container is null or have.container = one.value) and case
        when typeof(need.value) <> 'text' then typeof(have.value) <> 'text' and have.value >= need.value
        when need.key = 'gpu' then instr(' ' || have.value || ' ', ' ' || need.value || ' ') > 0
        else have.value = need.value end)))`
}

type Tries = { now: SQL; maxTries: number }

/** How many leases there may be, and which of them count. `unheard`: by how much the one that ends adds to those that no host has heard of. */
type Bound = { counted: SQL; most: number; unheard: 0 | 1 }

const heard: Bound = { counted: sql`attempt - unheard`, most: maxAttempts, unheard: 0 }
const unheard: Bound = { counted: sql`attempt`, most: maxUnheardAttempts, unheard: 1 }

/** Ends leases that were not renewed, the oldest first. Returns a `Lapsed` for each. `spared`: not these. */
export function lapse({ limit, spared, ...tries }: Tries & { limit: number; spared?: SQL }): SQL {
  const leases = sql`id in (
    select id from jobs where state = 'running' and lease_expires_at <= ${tries.now} ${spared ? sql`and not (${spared})` : sql``}
    order by lease_expires_at limit ${limit})`
  return putBack({ ...tries, leases, bound: heard })
}

/**
 * Ends leases: back into the queue, or failed when the job was started `maxTries` times. The attempt stays as it is, so that a
 * result that comes late is still accepted if nobody has claimed the job since.
 */
function putBack({ now, maxTries, leases, bound }: Tries & { leases: SQL; bound: Bound }): SQL {
  // Bytes of a stream may be out: another attempt could contradict them.
  const spent = sql`(tries >= ${maxTries} or ${bound.counted} >= ${bound.most} or stream_bytes > 0 or stream_relay is not null)`
  return sql`
    update jobs set lease_expires_at = null, unheard = unheard + ${bound.unheard},
      state = case when ${spent} then 'failed' else 'queued' end,
      finished_at = case when ${spent} then ${now} end,
      error_code = case when ${spent} then 'lease_lost' end,
      error_message = case when ${spent} then 'The runner stopped answering, ' || (${bound.counted}) || ' times.' end
    where ${leases}
    returning id, route, state, watched`
}
