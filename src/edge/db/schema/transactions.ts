import { sql } from 'drizzle-orm'
import { index, integer, sqliteTable, text, uniqueIndex } from 'drizzle-orm/sqlite-core'

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
    /**
     * Head at which the chain had used the nonce, and nothing of ours was mined under it; null: it has not. Of a displaced one: head when it was
     * given up; null: a reorganisation does not reach that any more, and what was signed is forgotten.
     */
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
    index('transactions_displaced')
      .on(t.chain, t.passedBlock)
      .where(sql`state = 'displaced' and passed_block is not null`),
    index('transactions_over').on(t.chain, t.createdAt).where(sql`state in ('final', 'displaced')`),
  ],
)

/** What was signed for a transaction's nonce; the last one is what is offered. Prices: wei for a unit of gas, in decimal. */
export const raws = sqliteTable(
  'raws',
  {
    hash: text().primaryKey(),
    tx: text().notNull(),
    /** Its place among those of its transaction, from 0; the highest when it is offered again. */
    seq: integer().notNull(),
    maxFee: text('max_fee').notNull(),
    priorityFee: text('priority_fee').notNull(),
    createdAt: integer('created_at').notNull(),
    raw: text().notNull(),
  },
  t => [uniqueIndex('raws_place').on(t.tx, t.seq)],
)
