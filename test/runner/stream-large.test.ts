import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { Handler } from './serve.ts'
import { setup } from './setup.ts'

const mib = 1024 * 1024

/** Of all files below a directory. */
async function bytesIn(directory: string): Promise<number> {
  const names = await readdir(directory, { recursive: true }).catch(() => [])
  const sizes = names.map(async name => {
    const found = await stat(join(directory, name)).catch(() => null)
    return found?.isFile() ? found.size : 0
  })
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0)
}

/** A runner in a process of its own with a container, and what a streaming job takes of memory and disk at most. */
async function start(handler: Handler, entry: object = {}) {
  const { edge, spawn, container, directory } = await setup({ record: false })
  const served = await container(handler)
  const preload = new URL('./rss.ts', import.meta.url).pathname
  const { child } = await spawn(
    { containers: [{ id: 'one', url: served.url, ...entry }] },
    { env: { NODE_OPTIONS: `--import ${preload}` } },
  )
  const rss = async () => {
    child.send('rss')
    return Number((await once(child, 'message'))[0])
  }
  const run = async (data: string) => {
    const { id } = edge.enqueue({ containers: ['one'], data, destination: 2 })
    const before = edge.state.completed
    const seen = { rss: 0, disk: 0 }
    while (edge.state.completed === before) {
      seen.rss = Math.max(seen.rss, await rss())
      seen.disk = Math.max(seen.disk, await bytesIn(join(directory, '.infernet-runner', 'streams')))
    }
    return { digest: edge.streams.digest(id), ...seen }
  }
  return { edge, run }
}

const digestOf = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

test('behavior: a large output in one piece, for an edge that is slow, takes little memory and disk', {
  timeout: 60_000,
}, async () => {
  const output = randomBytes(96 * mib)
  const { edge, run } = await start(({ body }, response) => {
    response.writeHead(200).end(body.includes('warm') ? output.subarray(0, 8 * mib) : output)
  })
  const first = await run('"warm"')
  // 20 MiB/s, at most.
  edge.streams.state.gate = bytes => new Promise(resolve => setTimeout(resolve, bytes / 20_000))
  const second = await run('"large"')
  expect(second.digest).toBe(digestOf(output))
  // 17 MiB here; the collector may take its time.
  expect(second.rss - first.rss).toBeLessThan(48 * mib)
  expect(second.disk).toBeLessThan(64 * mib)
})

test('behavior: so does that of a model of Cog that does not stream', { timeout: 60_000 }, async () => {
  const said = (megabytes: number) => 'é'.repeat((megabytes * mib) / 2)
  const { run } = await start(
    ({ url, body }, response) => {
      response.writeHead(200, { 'content-type': 'application/json' })
      if (url === '/health-check') return void response.end('{"status": "READY"}')
      const output = [said(body.includes('warm') ? 8 : 32)]
      response.end(JSON.stringify({ status: 'succeeded', output }))
    },
    { api: 'cog' },
  )
  const first = await run('{"say": "warm"}')
  const second = await run('{"say": "large"}')
  expect(second.digest).toBe(digestOf(Buffer.from(said(32))))
  // 20 MiB here, and 120 where it is parsed as a whole.
  expect(second.rss - first.rss).toBeLessThan(64 * mib)
})
