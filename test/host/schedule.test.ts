import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import type { Db } from '../../src/edge/db/open.ts'
import type { Log } from '../../src/edge/log.ts'
import { createBackground } from '../../src/host/background.ts'
import { startHost } from '../../src/host/host.ts'
import { listenOnNode } from '../../src/host/node.ts'
import { openDb } from '../../src/host/open.ts'
import { startSchedule } from '../../src/host/schedule.ts'
import { readSettings } from '../../src/host/settings.ts'
import { createDatabaseFile } from '../support/database-file.ts'

const silent = { info() {}, warn() {}, error() {} }

/** A host in this process, over this database. */
async function startOn(url: string, options: { scheduleMs?: number; graceMs?: number; log?: Log } = {}) {
  const db = await openDb({ url })
  const config = readSettings({ ORIGIN: 'http://edge.test', DATABASE_URL: url })
  const host = await startHost({
    config,
    db,
    listen: listenOnNode,
    hostname: '127.0.0.1',
    port: 0,
    log: silent,
    ...options,
  })
  return { ...host, db }
}

test('default: the timer does what the cron trigger does', async () => {
  const file = await createDatabaseFile()
  const { db, close } = await startOn(file.url, { scheduleMs: 10 })
  await db.orm.run(
    `insert into jobs (id, owner, route, state, created_at, expires_at) values ('x', 'y', 'a', 'queued', 0, 0)`,
  )
  await expect.poll(async () => await db.orm.all('select state from jobs')).toEqual([{ state: 'expired' }])
  await close()
  db.close()
  await file.close()
})

test('behavior: a database that does not answer does not hold up the end', async () => {
  let asked = 0
  const mute = createServer(socket => void socket.once('data', () => (asked += 1)).on('error', () => {}))
  mute.listen(0, '127.0.0.1')
  await once(mute, 'listening')
  onTestFinished(() => void mute.close())
  const warnings: string[] = []
  const { close } = await startOn(`http://127.0.0.1:${(mute.address() as AddressInfo).port}`, {
    scheduleMs: 10,
    graceMs: 700,
    log: { ...silent, warn: event => void warnings.push(event) },
  })
  await expect.poll(() => asked).toBeGreaterThan(0)
  const startedAt = performance.now()
  await close()
  expect(performance.now() - startedAt).toBeLessThan(3_000)
  expect(warnings).toEqual(['Not all that was in hand has ended'])
})

/** So many jobs that the next sweep expires, 500 in a round. */
async function addExpired(db: Db, count: number): Promise<void> {
  await db.orm.run(`
    with recursive n(i) as (select 1 union all select i + 1 from n where i < ${count})
    insert into jobs (id, owner, route, state, created_at, expires_at) select 'job-' || i, 'y', 'a', 'queued', 0, 0 from n`)
}

async function countWaiting(db: Db): Promise<number> {
  const [row] = await db.orm.all<{ count: number }>(
    `select count(*) as count from jobs where state = 'queued'`,
  )
  return row?.count ?? 0
}

test('behavior: requests are answered while a long sweep of a database file is under way', async () => {
  const file = await createDatabaseFile()
  const { url, db, runSchedule, close } = await startOn(file.url)
  await addExpired(db, 20_000)
  let isSwept = false
  const sweeping = runSchedule().then(() => {
    isSwept = true
  })
  await (await fetch(`${url}/health`)).text()
  expect(isSwept).toBe(false)
  await sweeping
  expect(await countWaiting(db)).toBe(0)
  await close()
  db.close()
  await file.close()
})

test('behavior: a host that closes ends its sweep after the round', async () => {
  const file = await createDatabaseFile()
  const { db, runSchedule, close } = await startOn(file.url)
  await addExpired(db, 20_000)
  const sweeping = runSchedule()
  await expect.poll(() => countWaiting(db), { interval: 1 }).toBeLessThan(20_000)
  await close()
  await sweeping
  expect(await countWaiting(db)).toBeGreaterThan(0)
  db.close()
  await file.close()
})

test('behavior: work that takes longer than its time is not done twice at once, and a failure does not end it', async () => {
  let atOnce = 0
  let most = 0
  let runs = 0
  const schedule = startSchedule({
    everyMs: 5,
    log: silent,
    async work() {
      runs += 1
      atOnce += 1
      most = Math.max(most, atOnce)
      await new Promise(resolve => setTimeout(resolve, 20))
      atOnce -= 1
      if (runs === 1) throw new Error('once')
    },
  })
  await expect.poll(() => runs).toBeGreaterThan(3)
  await schedule.stop()
  expect({ most, atOnce }).toEqual({ most: 1, atOnce: 0 })
})

test('behavior: work in the background is waited for, with what it starts in turn', async () => {
  const background = createBackground(silent)
  const done: string[] = []
  const later = (name: string, work: () => void = () => {}) =>
    new Promise<void>(resolve => setTimeout(resolve, 5)).then(() => {
      done.push(name)
      work()
    })
  background.run(later('first', () => background.run(later('second'))))
  background.run(Promise.reject(new Error('lost')))
  await background.settled()
  expect(done).toEqual(['first', 'second'])
})
