import { index, integer, primaryKey, sqliteTable, text } from 'drizzle-orm/sqlite-core'

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
    /** What a token would not let through: earned, or lost, and owed by the one wallet to the other until somebody claims it. */
    owed: text().notNull().default('0'),
    owing: text().notNull().default('0'),
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
