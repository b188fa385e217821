import { index, integer, primaryKey, sqliteTable, text } from 'drizzle-orm/sqlite-core'

/** One row. `epoch` rises, by triggers, with every change that can change an admission. */
export const policy = sqliteTable('policy', {
  id: integer().primaryKey(),
  epoch: integer().notNull(),
})

/** Enrolled hosts. `id` is the RFC 7638 thumbprint of the public key. */
export const runners = sqliteTable('runners', {
  id: text().primaryKey(),
  name: text().notNull(),
  publicKey: text('public_key').notNull(),
  mode: text({ enum: ['run', 'pause', 'drain'] })
    .notNull()
    .default('run'),
  enrolledAt: integer('enrolled_at').notNull(),
  revokedAt: integer('revoked_at'),
  /** JSON array of protocol's `ContainerPolicy`, as last registered. */
  containers: text().notNull().default('[]'),
  /** JSON of protocol's `Labels`, as last registered. */
  labels: text().notNull().default('{}'),
  /** JSON of protocol's `HostLabels['gpu_labels']`, the same. */
  gpuLabels: text('gpu_labels').notNull().default('[]'),
})

/** Processes of runners. */
export const instances = sqliteTable(
  'instances',
  {
    id: text().primaryKey(),
    runner: text().notNull(),
    version: text().notNull(),
    registeredAt: integer('registered_at').notNull(),
    lastSeenAt: integer('last_seen_at').notNull(),
    /** Highest claim seen, so that a claim overtaken by a later one gets nothing. */
    claimSeq: integer('claim_seq').notNull().default(0),
    /** Of the request that holds `claimSeq`, so that the later statements of its batch know that it passed. */
    claimToken: text('claim_token'),
    /** JSON array of the ids of containers that are ready: what every isolate reads, again and again. */
    ready: text().notNull().default('[]'),
    /** JSON array of `{id, health, detail?}`, for the operator. */
    health: text().notNull().default('[]'),
    /** JSON of protocol's `HostReport`, as last told, for the operator; null: never. */
    host: text(),
    /** As its runner's, of this process; null: it has told none, and its runner's count. */
    labels: text(),
    gpuLabels: text('gpu_labels'),
  },
  t => [index('instances_runner').on(t.runner), index('instances_seen').on(t.lastSeenAt)],
)

/** Questions that clients put to all runners (`GET /resources`), shared by clients that ask the same within seconds. */
export const questions = sqliteTable(
  'questions',
  {
    id: text().primaryKey(),
    modelId: text('model_id'),
    askedAt: integer('asked_at').notNull(),
  },
  t => [index('questions_asked').on(t.askedAt)],
)

export const answers = sqliteTable(
  'answers',
  {
    question: text().notNull(),
    instance: text().notNull(),
    answer: text().notNull(),
  },
  t => [primaryKey({ columns: [t.question, t.instance] })],
)
