import { sql } from 'drizzle-orm'
import { index, integer, primaryKey, sqliteTable, text, uniqueIndex } from 'drizzle-orm/sqlite-core'

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
