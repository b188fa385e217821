import { index, integer, primaryKey, sqliteTable, text } from 'drizzle-orm/sqlite-core'

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
    /** Of answers that their pay does not cover, those that failed included. */
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
