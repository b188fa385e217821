import { sql } from 'drizzle-orm'
import { index, integer, primaryKey, sqliteTable, text } from 'drizzle-orm/sqlite-core'

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
    /** Block up to which it is known to have been pending. */
    lookedBlock: integer('looked_block').notNull(),
    /** Once it is not any more: block up to which logs have been looked through for its verdict; null: none yet, or all in vain. */
    searchedBlock: integer('searched_block'),
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
    // Of what may be lost yet, as the release before `stake_sums` sums it up.
    index('proofs_staked')
      .on(t.chain, t.stakeToken, t.stakeVerifier, t.stake, t.nodeWallet)
      .where(sql`stake_token is not null and state = 'pending'`),
    // Of a reorganisation: verdicts in blocks that are undone.
    index('proofs_settled').on(t.chain, t.settledBlock).where(sql`settled_block is not null`),
    index('proofs_answer').on(t.answerTx).where(sql`answer_tx is not null`),
  ],
)

/**
 * What proofs that are pending may lose, added up by triggers, a row for each verifier and wallet as long as there is any: an edge reads these in
 * place of all that waits. SQLite's integers hold no amount of a token, so of each the decimal digits are added twelve by twelve, from the last ones
 * in `amount0` on: seven columns hold any amount, and millions of them, and nothing is carried from one to the next.
 */
export const stakeSums = sqliteTable(
  'stake_sums',
  {
    chain: integer().notNull(),
    token: text().notNull(),
    /** Empty: it is not known. */
    verifier: text().notNull(),
    /** That it is locked in; empty: it is not known. */
    wallet: text().notNull(),
    proofs: integer().notNull(),
    amount0: integer().notNull(),
    amount1: integer().notNull(),
    amount2: integer().notNull(),
    amount3: integer().notNull(),
    amount4: integer().notNull(),
    amount5: integer().notNull(),
    amount6: integer().notNull(),
  },
  t => [primaryKey({ columns: [t.chain, t.token, t.verifier, t.wallet] })],
)
