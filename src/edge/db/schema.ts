import { sql } from 'drizzle-orm'
import { blob, index, integer, primaryKey, sqliteTable, text, uniqueIndex } from 'drizzle-orm/sqlite-core'

/**
 * The storage layout; `docs/storage.md` explains it. Times are unix milliseconds by the database's clock. Columns that change
 * come first and payloads behind them, so that reading a job's state does not touch its overflow pages; what is rarely read follows.
 *
 * Triggers (in the migrations) keep `queue_counts`, `queued_routes`, `delegation_counts` and `policy.epoch`: counting by hand at every transition
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
    /** Containers in order, joined by commas; behind a space, as JSON, what it requires of its host, if anything. */
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

/**
 * How far the node has looked on each chain. Written by compare-and-set on `version`, and only when something has changed: a node that
 * runs twice, or a tick that is overtaken, writes nothing.
 */
export const chains = sqliteTable('chains', {
  /** EIP-155. */
  id: integer().primaryKey(),
  /** Whose subscriptions the other tables have. */
  coordinator: text().notNull(),
  version: integer().notNull().default(0),
  /** The first subscription that was not looked at yet. */
  nextId: integer('next_id').notNull(),
  /** The block up to which it looked when this row was last written; a head below it is not believed. */
  headNumber: integer('head_number').notNull(),
  headHash: text('head_hash').notNull(),
  /** The policy that refused subscriptions were last judged under. */
  judgedEpoch: integer('judged_epoch').notNull().default(0),
  /** Hash of the configuration that they were last judged under; null: it was not noted. */
  judgedConfig: text('judged_config'),
  /** How often answers with a stake were begun: tells whoever has summed up what is at stake that somebody else has added to it since. */
  stakings: integer().notNull().default(0),
})

/** Blocks in which something happened that a reorganisation would undo, as far back as one may reach. */
export const chainBlocks = sqliteTable(
  'chain_blocks',
  {
    chain: integer().notNull(),
    number: integer().notNull(),
    hash: text().notNull(),
  },
  t => [primaryKey({ columns: [t.chain, t.number] })],
)

/**
 * Subscriptions of the chains' coordinators, as they were when they were first seen. Addresses in lower case, amounts in decimal. Those
 * that have ended are in no partial index but that of the pruning, and so cost nothing.
 */
export const subscriptions = sqliteTable(
  'subscriptions',
  {
    chain: integer().notNull(),
    id: integer().notNull(),
    /** `active`: looked at again at `due_at`. `refused`: by the policy of `epoch`, and judged again under another. `ended`: for good. */
    state: text({ enum: ['active', 'refused', 'ended'] }).notNull(),
    /** Unix seconds of block time at which there is something to do, 0 or 1 after a reorganisation; null unless active. */
    dueAt: integer('due_at'),
    /** The next interval to answer; never below `floor_interval`. */
    nextInterval: integer('next_interval').notNull().default(1),
    /** Intervals below it are never begun again: their deliveries are forgotten. */
    floorInterval: integer('floor_interval').notNull().default(1),
    /** Times in a row that what was due could not be begun: the consumer gave no input, the wallet no funds. */
    tries: integer().notNull().default(0),
    epoch: integer().notNull().default(0),
    /** Why it waits, is refused or has ended: a code, the sentence for it, and what the sentence is about (JSON). */
    reason: text(),
    message: text(),
    params: text(),
    /** Head at which it was first seen. */
    seenBlock: integer('seen_block').notNull(),
    seenHash: text('seen_hash').notNull(),
    /** Block of the state by which it was decided that nothing is to be begun; null: something was. */
    decidedBlock: integer('decided_block'),
    createdAt: integer('created_at').notNull(),
    /**
     * When it ended, or was last found to have an answer that may still change: what retention goes by; null unless ended. Likewise of what was
     * signed for, is not created and is refused.
     */
    keptSince: integer('kept_since'),
    owner: text().notNull(),
    activeAt: integer('active_at').notNull(),
    period: integer().notNull(),
    frequency: integer().notNull(),
    redundancy: integer().notNull(),
    containerId: text('container_id').notNull(),
    /** Containers in order, joined by commas; null: no declared ones hash to `container_id`. */
    route: text(),
    lazy: integer().notNull(),
    verifier: text().notNull(),
    paymentAmount: text('payment_amount').notNull(),
    paymentToken: text('payment_token').notNull(),
    wallet: text().notNull(),
    /** Terms, where the coordinator has them: unix seconds, basis points, flags. */
    expiresAt: integer('expires_at').notNull().default(0),
    maxFee: integer('max_fee').notNull().default(0),
    prepaid: integer().notNull().default(0),
    committed: integer().notNull().default(0),
  },
  t => [
    primaryKey({ columns: [t.chain, t.id] }),
    index('subscriptions_due').on(t.chain, t.dueAt, t.id).where(sql`state = 'active'`),
    index('subscriptions_refused').on(t.chain, t.epoch, t.id).where(sql`state = 'refused'`),
    // Of lists: without it, a page of the few active ones walks past all that have ended.
    index('subscriptions_state').on(t.chain, t.state, t.id),
    // Of a reorganisation: what was first seen above the block from which all is the same.
    index('subscriptions_seen').on(t.chain, t.seenBlock),
    // Likewise: what was decided by what is undone.
    index('subscriptions_decided').on(t.chain, t.decidedBlock).where(sql`decided_block is not null`),
    index('subscriptions_ended').on(t.chain, t.keptSince).where(sql`state = 'ended'`),
    // Of what is refused before it is created: no chain has it, so it goes.
    index('subscriptions_kept')
      .on(t.chain, t.keptSince)
      .where(sql`state = 'refused' and kept_since is not null`),
  ],
)

/**
 * Subscriptions that this node was asked for over HTTP, as they were signed. Until the chain has one it is in `subscriptions` under an id
 * below 0, minus its place; then under the chain's id.
 */
export const delegations = sqliteTable(
  'delegations',
  {
    /** Chosen at random. */
    place: integer().primaryKey(),
    /** UUIDv7, by which its clients know it. */
    id: text().notNull(),
    chain: integer().notNull(),
    owner: text().notNull(),
    nonce: integer().notNull(),
    /** Of `subscriptions`. */
    subscription: integer().notNull(),
    /** The block in which it was created, as far as this node knows; null: it was not. */
    linkedBlock: integer('linked_block'),
    linkedHash: text('linked_hash'),
    /** Unix seconds of block time from which on nothing can be created by it. */
    expiry: integer().notNull(),
    v: integer().notNull(),
    /** 32 bytes each, in hex. */
    r: text().notNull(),
    s: text().notNull(),
    /** What was signed, member by member: tells one request from another of the same nonce. */
    digest: text().notNull(),
    /** 1: the signer has signed for `data` as well. */
    dataSigned: integer('data_signed').notNull(),
    /** Bytes of the data in UTF-8, and their SHA-256 in hex. */
    dataBytes: integer('data_bytes').notNull(),
    fingerprint: text().notNull(),
    createdAt: integer('created_at').notNull(),
    /** Input of its containers, a JSON text. Last, so that whoever reads the others does not read past it. */
    data: text().notNull(),
  },
  t => [
    uniqueIndex('delegations_id').on(t.id),
    uniqueIndex('delegations_nonce').on(t.chain, t.owner, t.nonce),
    uniqueIndex('delegations_subscription').on(t.chain, t.subscription),
    // Of owners of new subscriptions: what waits for one of these.
    index('delegations_waiting')
      .on(t.chain, t.owner, t.dataBytes, t.subscription)
      .where(sql`subscription < 0`),
    index('delegations_linked').on(t.chain, t.linkedBlock).where(sql`linked_block is not null`),
  ],
)

/** What each of these takes up of the room that there is for them; beside their rows, which are large. Kept by triggers. */
export const delegationShares = sqliteTable(
  'delegation_shares',
  {
    place: integer().primaryKey(),
    chain: integer().notNull(),
    owner: text().notNull(),
    /** 1: it is to be created, and may be. */
    waits: integer().notNull(),
    /** Bytes of its data, as long as anything may be begun with them; then 0. */
    bytes: integer().notNull(),
    createdAt: integer('created_at').notNull(),
    /** When its subscription ended; null: it has not, or its data is forgotten. */
    overSince: integer('over_since'),
  },
  t => [
    index('delegation_shares_waiting').on(t.chain, t.createdAt).where(sql`waits = 1`),
    index('delegation_shares_over').on(t.chain, t.overSince).where(sql`over_since is not null and waits = 0`),
  ],
)

/** How many wait to be created, and the bytes of data that anything may be begun with, by owner; owner `*` is everybody. Kept by triggers. */
export const delegationCounts = sqliteTable(
  'delegation_counts',
  {
    chain: integer().notNull(),
    owner: text().notNull(),
    waiting: integer().notNull(),
    bytes: integer().notNull(),
  },
  t => [primaryKey({ columns: [t.chain, t.owner] })],
)

/**
 * One answer of this node for one interval of a subscription: written with its job, in one batch, and kept until nothing can become of it
 * any more, whatever becomes of the job. A trigger notes the job's end.
 */
export const deliveries = sqliteTable(
  'deliveries',
  {
    chain: integer().notNull(),
    subscription: integer().notNull(),
    interval: integer().notNull(),
    job: text().notNull(),
    /**
     * `computing`: the job is under way. `computed`: there is an answer, and no transaction. `sending`: `tx` has it. `delivered`: mined.
     * `final`: too deep to be undone. `dropped`: never to be delivered, for `reason`.
     */
    state: text({ enum: ['computing', 'computed', 'sending', 'delivered', 'final', 'dropped'] }).notNull(),
    reason: text(),
    message: text(),
    /** Times that it was tried to send it, or that it was mined and failed. */
    tries: integer().notNull().default(0),
    /** Not to be tried again before; unix milliseconds. */
    notBefore: integer('not_before').notNull().default(0),
    /** Unix seconds of block time from which it cannot be accepted any more; null: none. */
    deadline: integer(),
    /** Block by which it was dropped, before it had a transaction; null: no block has to do with it. */
    droppedBlock: integer('dropped_block'),
    tx: text(),
    createdAt: integer('created_at').notNull(),
    /** What its proof is backed with, out of the node's wallet: a token, and base units of it in decimal; null: nothing. */
    stakeToken: text('stake_token'),
    stake: text(),
    /** By whose verdict it may be lost; null: nothing is staked. */
    stakeVerifier: text('stake_verifier'),
    /** The wallet that its call data names, once that is encoded. */
    nodeWallet: text('node_wallet'),
    /** Call data of `deliverCompute`, in hex, once it is encoded: then the job's row is not needed any more. */
    call: text(),
    /** Gas that it takes by itself, as it was estimated when it was last sent; null: it was not. */
    gas: integer(),
    /** What is to reach the node's wallet at least, in base units, as it was reckoned when it was begun; null: it pays nothing, or was not told. */
    minPayout: text('min_payout'),
    /** Block from which on it may be sent, since other nodes go first; null: nobody has looked. */
    sendBlock: integer('send_block'),
  },
  t => [
    primaryKey({ columns: [t.chain, t.subscription, t.interval] }),
    uniqueIndex('deliveries_job').on(t.job),
    index('deliveries_computed').on(t.chain, t.notBefore).where(sql`state = 'computed'`),
    index('deliveries_tx').on(t.tx).where(sql`tx is not null`),
    // Of a reorganisation: what was dropped by what is undone.
    index('deliveries_dropped').on(t.chain, t.droppedBlock).where(sql`dropped_block is not null`),
    index('deliveries_over').on(t.chain, t.createdAt).where(sql`state in ('final', 'dropped')`),
    // Of what may be staked yet: what is not mined will be locked when it is.
    index('deliveries_staked')
      .on(t.chain, t.stakeToken, t.stakeVerifier, t.stake)
      .where(sql`stake_token is not null and state in ('computing', 'computed', 'sending')`),
  ],
)

/**
 * Proofs of answers that were mined, and what was found of them: written with the mark that their transaction is mined, and undone with it. A row
 * stays as long as its delivery, which is another's where the coordinator has given the answer to another subscription.
 */
export const proofs = sqliteTable(
  'proofs',
  {
    chain: integer().notNull(),
    subscription: integer().notNull(),
    interval: integer().notNull(),
    /** Who has answered: with the others, what the coordinator knows the proof by. */
    node: text().notNull(),
    /** As of its delivery: what backs it, in whose hands it is, and the wallet that it is in. */
    stakeToken: text('stake_token'),
    stake: text(),
    stakeVerifier: text('stake_verifier'),
    nodeWallet: text('node_wallet'),
    /** The transaction that has brought the answer: what undoes that undoes this, wherever its delivery is. */
    answerTx: text('answer_tx'),
    /**
     * `pending`: no verdict. `accepted`: the node is paid. `rejected`: its stake is lost. `finalized`: there was none in time, and the money has
     * moved without. `settled`: it is not told how.
     */
    state: text({ enum: ['pending', 'accepted', 'rejected', 'finalized', 'settled'] }).notNull(),
    /** Unix seconds of block time at which it is looked at again; null unless pending. */
    dueAt: integer('due_at'),
    /** Looks that have found nothing new. */
    looks: integer().notNull().default(0),
    /** Block up to which it is known to have been pending, or in whose logs no verdict is. */
    lookedBlock: integer('looked_block').notNull(),
    /** Unix seconds of block time from which on anybody may finalize it; null: not looked at yet, or judged at once. */
    expiresAt: integer('expires_at'),
    /** 1: without a verdict in time the consumer gets the pay back. */
    refunds: integer().notNull().default(0),
    /** Base units that the node's wallet gets for it, in decimal; null: it was not told. */
    payout: text(),
    /** The transaction by which this node has last tried to finalize it. */
    tx: text(),
    /** What stands in the way: of its being finalized, or of its being known. */
    problem: text(),
    /** Whose word moved the money: the verifier's, or that of whoever has finalized it. */
    settledBy: text('settled_by'),
    settledHash: text('settled_hash'),
    settledBlock: integer('settled_block'),
  },
  t => [
    primaryKey({ columns: [t.chain, t.subscription, t.interval] }),
    index('proofs_due').on(t.chain, t.dueAt).where(sql`state = 'pending'`),
    // Of what may be lost yet.
    index('proofs_staked')
      .on(t.chain, t.stakeToken, t.stakeVerifier, t.stake, t.nodeWallet)
      .where(sql`stake_token is not null and state = 'pending'`),
    // Of a reorganisation: verdicts in blocks that are undone.
    index('proofs_settled').on(t.chain, t.settledBlock).where(sql`settled_block is not null`),
    index('proofs_answer').on(t.answerTx).where(sql`answer_tx is not null`),
  ],
)

/**
 * The outbox: a row for each nonce of a signer that this node has used. What was signed for it is in `raws`; whichever of these is mined,
 * the row is done.
 */
export const transactions = sqliteTable(
  'transactions',
  {
    id: text().primaryKey(),
    chain: integer().notNull(),
    signer: text().notNull(),
    nonce: integer().notNull(),
    /** `signed`: not known to any endpoint yet. `sent`: it is. `mined`, `final`: as of deliveries. `displaced`: another took the nonce, or it was given up. */
    state: text({ enum: ['signed', 'sent', 'mined', 'final', 'displaced'] }).notNull(),
    /**
     * `deliver`: answers. `approve`: what may be staked out of the node's wallet. `finalize`: a proof without a verdict. `cancel`: nothing any
     * more, only the nonce is to be used up.
     */
    kind: text({ enum: ['deliver', 'approve', 'finalize', 'cancel'] }).notNull(),
    to: text().notNull(),
    gasLimit: integer('gas_limit').notNull(),
    /** Unix seconds of block time from which mining it would be for nothing; null: none. */
    deadline: integer(),
    createdAt: integer('created_at').notNull(),
    /** Head when the last of `raws` was first sent; what tells that it is stuck. */
    sentBlock: integer('sent_block'),
    /** Why no endpoint would take it, in our own words. */
    problem: text(),
    /** Head at which the chain had used the nonce, and nothing of ours was mined under it; null: it has not. */
    passedBlock: integer('passed_block'),
    /** When that was first seen; unix milliseconds. */
    passedAt: integer('passed_at'),
    /** Unix seconds of block time since when the node has another signer; null: it is the node's. */
    leftAt: integer('left_at'),
    minedHash: text('mined_hash'),
    minedBlock: integer('mined_block'),
    minedBlockHash: text('mined_block_hash'),
    /** 1: it succeeded. */
    status: integer(),
    gasUsed: integer('gas_used'),
    /** Wei for a unit of gas, in decimal. */
    gasPrice: text('gas_price'),
    data: text().notNull(),
  },
  t => [
    // One that another has displaced has no nonce any more: after a reorganisation it may be free again.
    uniqueIndex('transactions_nonce').on(t.chain, t.signer, t.nonce).where(sql`state <> 'displaced'`),
    index('transactions_open').on(t.chain, t.signer, t.nonce).where(sql`state in ('signed', 'sent')`),
    index('transactions_mined').on(t.chain, t.minedBlock).where(sql`state = 'mined'`),
    index('transactions_over').on(t.chain, t.createdAt).where(sql`state in ('final', 'displaced')`),
  ],
)

/** What was signed for a transaction's nonce, the last one highest priced. Prices: wei for a unit of gas, in decimal. */
export const raws = sqliteTable(
  'raws',
  {
    hash: text().primaryKey(),
    tx: text().notNull(),
    /** Its place among those of its transaction, from 0. */
    seq: integer().notNull(),
    maxFee: text('max_fee').notNull(),
    priorityFee: text('priority_fee').notNull(),
    createdAt: integer('created_at').notNull(),
    raw: text().notNull(),
  },
  t => [uniqueIndex('raws_place').on(t.tx, t.seq)],
)

/**
 * The node's books: a row for each answer that was mined, whatever became of it, and for what else its transactions cost. Rows go with their
 * transaction when a reorganisation undoes it. Amounts in decimal: of the token in its base units, gas in wei.
 */
export const ledger = sqliteTable(
  'ledger',
  {
    /** Of `transactions`, which may be forgotten; or the hash of somebody else's in which money moved. */
    tx: text().notNull(),
    /** Its place among those of its transaction, from 0. */
    seq: integer().notNull(),
    chain: integer().notNull(),
    hash: text().notNull(),
    block: integer().notNull(),
    /** Block time in unix seconds, and the UTC day of it, counted from 1970-01-01. */
    at: integer().notNull(),
    day: integer().notNull(),
    /**
     * `answer`: accepted. `rejected`: its proof was judged false. `failed`: mined for nothing. `verdict`: on an earlier answer. `expense`: of
     * no answer.
     */
    kind: text({ enum: ['answer', 'rejected', 'failed', 'verdict', 'expense'] }).notNull(),
    /** null: of none. */
    subscription: integer(),
    interval: integer(),
    /** Owner of the subscription; empty: of none. */
    consumer: text().notNull(),
    /** Zero: ETH, and what paid nothing. */
    token: text().notNull(),
    /** What the node's wallet was paid, and what it lost of its stake. */
    payment: text().notNull(),
    slashed: text().notNull(),
    /** What the consumer's wallet paid to others. */
    protocolFee: text('protocol_fee').notNull(),
    verifierFee: text('verifier_fee').notNull(),
    /** Its part of the transaction's. */
    gasUsed: integer('gas_used').notNull(),
    gasCost: text('gas_cost').notNull(),
  },
  t => [
    primaryKey({ columns: [t.tx, t.seq] }),
    // The order in which it is told, and summed up.
    index('ledger_days').on(t.chain, t.day, t.consumer, t.token, t.tx, t.seq),
  ],
)

/**
 * What has come of a consumer's subscriptions, for as long as this node has answered it. An owner is one address on one chain. Wei are two
 * numbers, gwei and what is left of them, since 64 bits hold nine ether.
 */
export const consumers = sqliteTable(
  'consumers',
  {
    chain: integer().notNull(),
    owner: text().notNull(),
    /** Answers delivered, to what pays and to what does not. */
    paid: integer().notNull().default(0),
    unpaid: integer().notNull().default(0),
    /** Answers that were mined, and failed. */
    reverted: integer().notNull().default(0),
    /** Answers that were mined, and whose proofs were found false, at once or later, or were not judged in time by terms that pay for a verdict alone. */
    rejected: integer().notNull().default(0),
    /** Answers that were computed, and given up since the chain would not take them. */
    dropped: integer().notNull().default(0),
    /** Of what failed, or was rejected. */
    wastedGas: integer('wasted_gas').notNull().default(0),
    wastedGwei: integer('wasted_gwei').notNull().default(0),
    wastedWei: integer('wasted_wei').notNull().default(0),
    /** Of answers that paid nothing, those that failed included. */
    unpaidGas: integer('unpaid_gas').notNull().default(0),
    /** Of the answer that was last delivered; null: none was. */
    lastGas: integer('last_gas'),
    firstSeen: integer('first_seen').notNull(),
    lastSeen: integer('last_seen').notNull(),
  },
  t => [primaryKey({ columns: [t.chain, t.owner] })],
)

/** The same by the hour, as long as limits look back; owner `*` is everybody. */
export const consumerHours = sqliteTable(
  'consumer_hours',
  {
    chain: integer().notNull(),
    owner: text().notNull(),
    /** Since 1970. */
    hour: integer().notNull(),
    reverted: integer().notNull().default(0),
    rejected: integer().notNull().default(0),
    dropped: integer().notNull().default(0),
    wastedGas: integer('wasted_gas').notNull().default(0),
    unpaidGas: integer('unpaid_gas').notNull().default(0),
  },
  t => [
    primaryKey({ columns: [t.chain, t.owner, t.hour] }),
    index('consumer_hours_over').on(t.chain, t.hour),
  ],
)

/** What was added to the two, and by what, until no reorganisation can undo it. */
export const consumerChanges = sqliteTable(
  'consumer_changes',
  {
    chain: integer().notNull(),
    /** The transaction that was mined; `drop ` and a UUID of answers that were given up together; or a proof, as the ledger names it. */
    source: text().notNull(),
    owner: text().notNull(),
    /** That it was mined in, or by whose state it was given up. */
    block: integer().notNull(),
    hour: integer().notNull(),
    paid: integer().notNull().default(0),
    unpaid: integer().notNull().default(0),
    reverted: integer().notNull().default(0),
    rejected: integer().notNull().default(0),
    dropped: integer().notNull().default(0),
    /** Of what was delivered. */
    gas: integer().notNull().default(0),
    unpaidGas: integer('unpaid_gas').notNull().default(0),
    wastedGas: integer('wasted_gas').notNull().default(0),
    wastedGwei: integer('wasted_gwei').notNull().default(0),
    wastedWei: integer('wasted_wei').notNull().default(0),
  },
  t => [primaryKey({ columns: [t.chain, t.source, t.owner] })],
)
