import { expect, test } from 'vitest'
import { createBackground } from '../../src/host/background.ts'
import { startHost } from '../../src/host/host.ts'
import { listenOnNode } from '../../src/host/node.ts'
import { openDb } from '../../src/host/open.ts'
import { startSchedule } from '../../src/host/schedule.ts'
import { readSettings } from '../../src/host/settings.ts'
import { createDatabaseFile } from '../support/database-file.ts'

const silent = { info() {}, warn() {}, error() {} }

test('default: the timer does what the cron trigger does', async () => {
  const file = await createDatabaseFile()
  const db = await openDb({ url: file.url })
  await db.orm.run(
    `insert into jobs (id, owner, route, state, created_at, expires_at) values ('x', 'y', 'a', 'queued', 0, 0)`,
  )
  const config = readSettings({ ORIGIN: 'http://edge.test', DATABASE_URL: file.url })
  const options = { config, db, listen: listenOnNode, hostname: '127.0.0.1', port: 0, log: silent }
  const host = await startHost({ ...options, scheduleMs: 10 })
  await expect.poll(async () => await db.orm.all('select state from jobs')).toEqual([{ state: 'expired' }])
  await host.close()
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
