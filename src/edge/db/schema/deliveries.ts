import { sql } from 'drizzle-orm'
import { index, integer, primaryKey, sqliteTable, text, uniqueIndex } from 'drizzle-orm/sqlite-core'

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
      .on(t.chain, t.stakeToken, t.stakeVerifier, t.stake, t.nodeWallet)
      .where(sql`stake_token is not null and state in ('computing', 'computed', 'sending')`),
  ],
)
