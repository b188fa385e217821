import { setImmediate as turn } from 'node:timers/promises'
import { type Client, createClient } from '@libsql/client/sqlite3'
import { sql } from 'drizzle-orm'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openFileDb } from '../../src/host/file.ts'
import type { OpenedDb } from '../../src/host/open.ts'
import { createDatabaseFile, type DatabaseFile } from '../support/database-file.ts'

/** A database file that another process uses, too. */

let file: DatabaseFile
let db: OpenedDb
let other: Client

beforeEach(async () => {
  file = await createDatabaseFile()
  db = await openFileDb({ url: file.url })
  other = createClient({ url: file.url })
  await db.orm.run(sql`create table notes (text)`)
})
afterEach(async () => {
  other?.close()
  db?.close()
  await file?.close()
})

const write = async () =>
  await db.orm.batch([
    db.orm.run(sql`insert into notes values ('one')`),
    db.orm.run(sql`insert into notes values ('two')`),
  ])
const notes = async () => await db.orm.all<{ n: number }>(sql`select count(*) as n from notes`)

/** Whether it is over, after it had its turn so often. */
async function isOver(work: Promise<unknown>, turns = 20): Promise<boolean> {
  let over = false
  const end = () => {
    over = true
  }
  work.then(end, end)
  for (let i = 0; i < turns; i++) await turn()
  return over
}

test('behavior: a statement that waits for the lock is done once, and nothing beside it is lost', async () => {
  const held = await other.transaction('write')
  const writing = db.orm.run(sql`insert into notes values ('one')`)
  const reading = notes()
  expect(await isOver(writing)).toBe(false)
  expect(await reading).toEqual([{ n: 0 }])
  await held.rollback()
  await Promise.all([writing, write(), db.orm.run(sql`insert into notes values ('two')`)])
  expect((await other.execute('select count(*) as n from notes')).rows).toMatchObject([{ n: 4 }])
})

describe('a batch', () => {
  test('default: waits for the lock that another holds, and is done once', async () => {
    const held = await other.transaction('write')
    const writing = write()
    expect(await isOver(writing)).toBe(false)
    await held.rollback()
    await writing
    expect(await notes()).toEqual([{ n: 2 }])
  })

  test('behavior: after it had to wait, whatever is answered is on disk', async () => {
    const held = await other.transaction('write')
    const writing = write()
    expect(await isOver(writing)).toBe(false)
    await held.rollback()
    await writing
    await db.orm.run(sql`insert into notes values ('three')`)
    await write()
    expect((await other.execute('select count(*) as n from notes')).rows).toMatchObject([{ n: 5 }])
    expect(await db.orm.all(sql`pragma synchronous`)).toEqual([{ synchronous: 2 }])
  })

  test('behavior: does not wait for whoever reads', async () => {
    const reading = await other.transaction('read')
    await reading.execute('select * from notes')
    await write()
    expect((await reading.execute('select * from notes')).rows).toEqual([])
    reading.close()
    expect(await notes()).toEqual([{ n: 2 }])
  })
})
