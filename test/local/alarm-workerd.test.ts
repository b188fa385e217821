import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { freePort } from '../../src/local/port.ts'
import { workerdConfig } from '../../src/local/workerd/config.ts'

/**
 * What becomes of an alarm that is set while an alarm is handled, pinned: the tickers of chains live by it, and a workerd that behaves
 * otherwise should be noticed.
 */

const { default: workerd } = createRequire(import.meta.url)('workerd') as { default: string }

/** Counts its alarms, each of which sets the next one, so many milliseconds away. */
const program = `
import { DurableObject } from 'cloudflare:workers'
export class Counter extends DurableObject {
  count = 0
  async fetch(request) {
    const url = new URL(request.url)
    if (url.pathname === '/count') return new Response(String(this.count))
    this.ahead = Number(url.searchParams.get('ahead'))
    await this.ctx.storage.setAlarm(Date.now() + 1)
    return new Response()
  }
  async alarm() {
    this.count += 1
    await this.ctx.storage.setAlarm(Date.now() + this.ahead)
  }
}
export default {
  fetch: (request, env) => env.COUNTER.get(env.COUNTER.idFromName(new URL(request.url).searchParams.get('ahead'))).fetch(request),
}`

const folder = mkdtempSync(join(tmpdir(), 'infernet-alarm-'))
let url: string
let stop: () => Promise<void>

beforeAll(async () => {
  const port = await freePort()
  url = `http://127.0.0.1:${port}`
  writeFileSync(join(folder, 'counter.js'), program)
  const config = workerdConfig({
    host: '127.0.0.1',
    port,
    schedulePort: await freePort(),
    module: 'counter.js',
    compatibilityDate: '2026-01-01',
    compatibilityFlags: [],
    vars: {},
    durableObjects: [{ binding: 'COUNTER', className: 'Counter' }],
  })
  writeFileSync(join(folder, 'counter.capnp'), config)
  const child = spawn(workerd, ['serve', '--experimental', join(folder, 'counter.capnp')], {
    stdio: 'inherit',
  })
  const ended = once(child, 'exit')
  stop = async () => {
    child.kill('SIGKILL')
    await ended
  }
  await vi.waitUntil(() => fetch(`${url}/count?ahead=none`).catch(() => null), { timeout: 60_000 })
}, 90_000)
afterAll(async () => {
  await stop?.()
  rmSync(folder, { recursive: true, force: true })
})

async function countAfter(ahead: number, until: (count: number) => boolean): Promise<number> {
  await fetch(`${url}/begin?ahead=${ahead}`)
  const deadline = Date.now() + 3_000
  let count = 0
  while (!until(count) && Date.now() < deadline) {
    count = Number(await (await fetch(`${url}/count?ahead=${ahead}`)).text())
    await delay(20)
  }
  return count
}

test.for([1, 0, -5])('canary: one that is set %i ms ahead comes', async ahead => {
  expect(await countAfter(ahead, count => count >= 5)).toBeGreaterThanOrEqual(5)
})
