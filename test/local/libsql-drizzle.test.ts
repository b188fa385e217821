import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { eq } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/libsql'
import { migrate } from 'drizzle-orm/libsql/migrator'
import { blob, integer, sqliteTable, text } from 'drizzle-orm/sqlite-core'
import { expect, test } from 'vitest'
import { connect, startServer, temporaryFolder } from './libsql-setup.ts'

const things = sqliteTable('things', {
  id: integer().primaryKey(),
  name: text().notNull(),
  bytes: blob({ mode: 'buffer' }),
})

function writeMigrations(): string {
  const folder = temporaryFolder()
  mkdirSync(join(folder, 'meta'))
  const entries = [
    { idx: 0, version: '6', when: 1, tag: '0000_first', breakpoints: true },
    { idx: 1, version: '6', when: 2, tag: '0001_second', breakpoints: true },
  ]
  writeFileSync(
    join(folder, 'meta/_journal.json'),
    JSON.stringify({ version: '7', dialect: 'sqlite', entries }),
  )
  const first = 'CREATE TABLE `things` (`id` integer PRIMARY KEY NOT NULL, `name` text NOT NULL);'
  writeFileSync(
    join(folder, '0000_first.sql'),
    `${first}\n--> statement-breakpoint\nCREATE INDEX i ON things (name);`,
  )
  writeFileSync(join(folder, '0001_second.sql'), 'ALTER TABLE `things` ADD `bytes` blob;')
  return folder
}

async function setup() {
  const server = await startServer()
  const db = drizzle({ client: connect(server, { intMode: 'number' }) })
  const migrationsFolder = writeMigrations()
  await migrate(db, { migrationsFolder })
  return { db, migrationsFolder }
}

test('default: migrate twice, then insert, select, update and batch', async () => {
  const { db, migrationsFolder } = await setup()
  await migrate(db, { migrationsFolder })
  const [inserted] = await db
    .insert(things)
    .values({ name: 'a', bytes: Buffer.from([1, 0, 2]) })
    .returning()
  expect(inserted).toEqual({ id: 1, name: 'a', bytes: Buffer.from([1, 0, 2]) })
  const next = db.select({ id: things.id }).from(things).limit(1)
  const [claimed, all] = await db.batch([
    db.update(things).set({ name: 'b' }).where(eq(things.id, next)).returning(),
    db.select().from(things),
  ])
  expect(claimed[0]?.name).toBe('b')
  expect(all).toHaveLength(1)
})

test('behavior: a transaction with a savepoint inside', async () => {
  const { db } = await setup()
  await db.transaction(async tx => {
    await tx.insert(things).values({ name: 'kept' })
    const inner = tx.transaction(async nested => {
      await nested.insert(things).values({ name: 'undone' })
      throw new Error('undo')
    })
    await expect(inner).rejects.toThrow('undo')
  })
  expect((await db.select().from(things)).map(thing => thing.name)).toEqual(['kept'])
})
