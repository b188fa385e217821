import { sql } from 'drizzle-orm'
import { index, integer, primaryKey, sqliteTable, text } from 'drizzle-orm/sqlite-core'

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
