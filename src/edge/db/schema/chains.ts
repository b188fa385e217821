import { integer, primaryKey, sqliteTable, text } from 'drizzle-orm/sqlite-core'

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
  /** How often answers with a stake were begun, or sent where stakes are limited: tells whoever has summed up what is at stake that somebody else has added to it since. */
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
