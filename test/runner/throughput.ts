import { fork } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { generateKey } from '../../src/runner/key/generate.ts'
import { startFakeEdge } from './fake-edge.ts'

/**
 * Measures the runner alone: `node test/runner/throughput.ts [jobs] [slots]`. The edge, a container that does nothing, and the
 * runner are processes of their own; the figures are jobs completed a second and CPU seconds of each.
 */
const [role = '10000', second = '64'] = process.argv.slice(2)
const here = fileURLToPath(import.meta.url)

if (role === 'container') {
  const server = createServer((request, response) => {
    request.resume()
    request.on('end', () =>
      response
        .writeHead(200, { 'content-type': 'application/json', 'content-length': 11 })
        .end('{"ok":true}'),
    )
  })
  server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port))
} else if (role === 'edge') {
  const edge = await startFakeEdge({
    record: false,
    pace: { lease_ms: 60_000, heartbeat_ms: 10_000, wait_ms: 5_000 },
  })
  process.on('message', ({ key, jobs }: { key?: { id: string; publicKey: string }; jobs?: number }) => {
    if (key) edge.enrol(key)
    if (jobs === undefined) return
    edge.state.completed = 0
    const startedAt = performance.now()
    const data = JSON.stringify({ prompt: 'x'.repeat(200) })
    for (let index = 0; index < jobs; index++) edge.enqueue({ containers: ['noop'], data })
    const timer = setInterval(() => {
      if (edge.state.completed < jobs) return
      clearInterval(timer)
      process.send?.({ seconds: (performance.now() - startedAt) / 1000 })
    }, 5)
  })
  process.send?.(edge.url)
} else {
  await measure(Number(role), Number(second))
}

async function measure(jobs: number, slots: number): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'infernet-throughput-'))
  const key = await generateKey(join(directory, 'key'))
  const edge = fork(here, ['edge'])
  const url = await heard<string>(edge)
  const container = fork(here, ['container'])
  const port = await heard<number>(container)
  edge.send({ key: { id: key.id, publicKey: key.publicKey } })
  const path = join(directory, 'config.json')
  const containers = [{ id: 'noop', url: `http://127.0.0.1:${port}`, slots }]
  await writeFile(
    path,
    JSON.stringify({ edge: { url, key_file: 'key' }, manage_containers: false, containers }),
  )
  const main = fileURLToPath(new URL('../../src/runner/main.ts', import.meta.url))
  const runner = fork(main, ['run', '--config', path], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })

  for (const [name, count] of [
    ['warm-up', Math.ceil(jobs / 5)],
    ['measured', jobs],
  ] as const) {
    const before = await Promise.all([runner, edge, container].map(cpuSeconds))
    edge.send({ jobs: count })
    const { seconds } = await heard<{ seconds: number }>(edge)
    const after = await Promise.all([runner, edge, container].map(cpuSeconds))
    const [ofRunner, ofEdge, ofContainer] = after.map((value, index) =>
      (value - (before[index] ?? 0)).toFixed(2),
    )
    console.log(
      `${name}: ${count} jobs in ${seconds.toFixed(2)} s = ${Math.round(count / seconds)} jobs/s; ` +
        `CPU s: runner ${ofRunner}, edge ${ofEdge}, container ${ofContainer}`,
    )
  }
  for (const child of [runner, edge, container]) child.kill('SIGKILL')
  await rm(directory, { recursive: true, force: true })
}

function heard<T>(child: ReturnType<typeof fork>): Promise<T> {
  return new Promise(resolve => child.once('message', message => resolve(message as T)))
}

/** User and system time of a process, all its threads, from Linux's /proc. */
async function cpuSeconds({ pid }: { pid?: number | undefined }): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / 100
}
