import { sql } from 'drizzle-orm'
import { blob, index, integer, sqliteTable, text, uniqueIndex } from 'drizzle-orm/sqlite-core'

/**
 * The storage layout, of which this is the queue's part; `docs/storage.md` explains it. Times are unix milliseconds by the database's clock, where
 * nothing else is said. Columns that change come first and payloads behind them, so that reading a job's state does not touch its overflow pages; what
 * is rarely read follows.
 *
 * Triggers (in the migrations) keep `queue_counts`, `queued_routes`, `delegation_counts`, `stake_sums` and `policy.epoch`: counting by hand at every transition
 * would leave one forgotten statement between us and a wrong bound.
 */
export const jobs = sqliteTable(
  'jobs',
  {
    id: text().primaryKey(),
    owner: text().notNull(),
    /** `queue`: the queue owns it. `status`: written by hand through `PUT /api/status`; no statement of the queue matches it. */
    origin: text({ enum: ['queue', 'status'] })
      .notNull()
      .default('queue'),
    /** As protocol's `routeOf` writes it: containers in order, and what is required of their host, if anything. */
    route: text().notNull(),
    /** `receiving` (input not whole yet, nobody knows the id) or one of protocol's `jobStates`. */
    state: text().notNull(),
    priority: integer().notNull().default(0),
    /** Leases given so far; fences every write of a runner. */
    attempt: integer().notNull().default(0),
    /** Leases whose runner said that it had started. */
    tries: integer().notNull().default(0),
    /** The attempt that was last counted in `tries`, so that a repeated message counts once. */
    startedAttempt: integer('started_attempt').notNull().default(0),
    runner: text(),
    instance: text(),
    leaseExpiresAt: integer('lease_expires_at'),
    createdAt: integer('created_at').notNull(),
    expiresAt: integer('expires_at').notNull(),
    claimedAt: integer('claimed_at'),
    startedAt: integer('started_at'),
    finishedAt: integer('finished_at'),
    /** As containers are told: 0 on-chain, 1 off-chain. */
    source: integer().notNull().default(1),
    /** As containers are told: 0 on-chain, 1 off-chain, 2 stream. */
    destination: integer().notNull().default(1),
    requiresProof: integer('requires_proof').notNull().default(0),
    errorCode: text('error_code'),
    errorMessage: text('error_message'),
    /** `*_parts` 0: the payload, if any, is inline in the column of that name. */
    dataBytes: integer('data_bytes').notNull().default(0),
    dataParts: integer('data_parts').notNull().default(0),
    resultBytes: integer('result_bytes').notNull().default(0),
    resultParts: integer('result_parts').notNull().default(0),
    intermediateBytes: integer('intermediate_bytes').notNull().default(0),
    intermediateParts: integer('intermediate_parts').notNull().default(0),
    data: text(),
    result: text(),
    intermediate: text(),
    /** How long the containers may take, all together; null: no bound of the job's own. */
    timeoutMs: integer('timeout_ms'),
    /** 1: a client waits for the end, so whoever ends the job rings. */
    watched: integer().notNull().default(0),
    /**
     * SHA-256 of the request that made it, in hex, of a batch with `batch ` before it, when it asked to be made once: `PUT`, or an
     * `Idempotency-Key`.
     */
    fingerprint: text(),
    /** Which door it came in by, and so which path of its container is called; null: `/service_output`. */
    endpoint: text({ enum: ['openai'] }),
    /** Of streams: how long it runs on while nobody reads; null: to its end. */
    unreadMs: integer('unread_ms'),
    /** Of streams: bytes of output stored, from the first on. Above 0: bytes may be out, and no other attempt may begin. */
    streamBytes: integer('stream_bytes').notNull().default(0),
    /** Of streams: the relay that may have passed on output of this attempt of which none is stored: no other attempt may begin. */
    streamRelay: text('stream_relay'),
    /** Of streams that ended: bytes of output in all; more than are stored where the cap was met. */
    streamTotal: integer('stream_total'),
    /** Of streams that ended: 1 when the output is UTF-8. */
    streamText: integer('stream_text'),
    /** Of a result, as its runner says: which image each container ran, by its id, as JSON. */
    images: text(),
    /** Leases whose answers were lost on their way to a host that claimed again: they have harmed nobody. */
    unheard: integer().notNull().default(0),
  },
  t => [
    // By time of arrival, since ids may be chosen by clients. With the expiry in it, a claim steps over jobs that are past theirs
    // without looking them up.
    index('jobs_claim')
      .on(t.route, sql`${t.priority} desc`, t.createdAt, t.id, t.expiresAt)
      .where(sql`state = 'queued'`),
    index('jobs_waiting').on(t.expiresAt).where(sql`state in ('receiving', 'queued')`),
    index('jobs_lease').on(t.leaseExpiresAt).where(sql`state = 'running'`),
    index('jobs_instance').on(t.instance).where(sql`state = 'running'`),
    index('jobs_finished').on(t.finishedAt).where(sql`finished_at is not null`),
    index('jobs_owner').on(t.owner, t.createdAt, t.id),
    // Without it, a page of ended jobs walks past all that still wait: 333 ms behind 500,000 of them, 0.3 ms with it.
    index('jobs_owner_ended')
      .on(t.owner, t.createdAt, t.id)
      .where(sql`state not in ('queued', 'running', 'receiving')`),
    index('jobs_owner_pending').on(t.owner, t.createdAt, t.id).where(sql`state in ('queued', 'running')`),
  ],
)

/**
 * Payloads above the inline limit, and the output of streams, in pieces. Input is written before any attempt, so under attempt 0. `seq`: the
 * place, of a piece of a stream the offset of its first byte. Statements name the index:
 * after an ANALYZE of a nearly empty table SQLite would rather walk it.
 */
export const parts = sqliteTable(
  'parts',
  {
    job: text().notNull(),
    kind: text({ enum: ['data', 'result', 'intermediate', 'stream'] }).notNull(),
    attempt: integer().notNull(),
    seq: integer().notNull(),
    bytes: blob({ mode: 'buffer' }).notNull(),
  },
  t => [uniqueIndex('parts_place').on(t.job, t.kind, t.attempt, t.seq)],
)

/**
 * Jobs that were created under an `Idempotency-Key`, a row for each: `item` is the place in a batch, else 0. Written with the job, in
 * one batch, and kept for a day, whatever becomes of the job. Statements name its indexes, as those of `parts` do.
 */
export const idempotency = sqliteTable(
  'idempotency',
  {
    owner: text().notNull(),
    key: text().notNull(),
    item: integer().notNull(),
    /** SHA-256 of the whole request, in hex, of a batch with `batch ` before it. */
    fingerprint: text().notNull(),
    job: text().notNull(),
    createdAt: integer('created_at').notNull(),
  },
  t => [
    uniqueIndex('idempotency_place').on(t.owner, t.key, t.item),
    index('idempotency_created').on(t.createdAt),
  ],
)

/** Jobs waiting and running, and the input bytes of those waiting, by owner; owner `*` is everybody. Kept by triggers. */
export const queueCounts = sqliteTable('queue_counts', {
  owner: text().primaryKey(),
  queued: integer().notNull(),
  running: integer().notNull(),
  bytes: integer().notNull(),
})

/** Routes that have queued jobs, and how many; kept by triggers. What the claim looks through, instead of the jobs. */
export const queuedRoutes = sqliteTable('queued_routes', {
  route: text().primaryKey(),
  queued: integer().notNull(),
  /** Owner of the job that came first, where the route is a lane: a chain, or one with something required. null: a single container. */
  opener: text(),
})
