import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
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

test('behavior: a large output in one piece, for an edge that is slow, takes little memory and disk', {
  timeout: 60_000,
}, async () => {
  const { edge, spawn, container, directory } = await setup({ record: false })
  const output = randomBytes(96 * mib)
  const served = await container(({ body }, response) => {
    response.writeHead(200).end(body.includes('warm') ? output.subarray(0, 8 * mib) : output)
  })
  const preload = new URL('./rss.ts', import.meta.url).pathname
  const { child } = await spawn(
    { containers: [{ id: 'one', url: served.url }] },
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
    return { id, ...seen }
  }
  const first = await run('"warm"')
  // 20 MiB/s, at most.
  edge.streams.state.gate = bytes => new Promise(resolve => setTimeout(resolve, bytes / 20_000))
  const second = await run('"large"')
  expect(edge.streams.digest(second.id)).toBe(createHash('sha256').update(output).digest('hex'))
  // 17 MiB here; the collector may take its time.
  expect(second.rss - first.rss).toBeLessThan(48 * mib)
  expect(second.disk).toBeLessThan(64 * mib)
})
