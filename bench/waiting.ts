import { readFileSync } from 'node:fs'
import { Agent } from 'undici'
import { freePort } from '../src/local/port.ts'
import { watchHeap } from './heap.ts'
import { quantile } from './latency.ts'
import type { Report } from './report.ts'
import { startBenchStack } from './stack.ts'

/** workerd takes two file descriptors for each connection, of which a process has often no more than 20,000. */
const clients = 6_000
/** Opened at once; more would only queue up in this process. */
const lanes = 200
/** Jobs that are waited for: each has a hundred clients. */
const jobs = clients / 100

/** Thousands of clients that wait for jobs' ends: what they cost the edge, and how soon they hear. */
export async function benchWaiting(report: Report): Promise<void> {
  const inspectorPort = await freePort()
  const stack = await startBenchStack({ count: true, inspectorPort })
  const heap = await watchHeap(inspectorPort)
  const agent = new Agent({ pipelining: 1, headersTimeout: 60_000 })
  const url = stack.edge.url
  try {
    const ids = await Promise.all(Array.from({ length: jobs }, () => create(url)))
    const before = privateBytes(stack.edge.pid)
    const answered: number[] = []
    const waits: Promise<void>[] = []
    const statements = stack.counters?.sql.statements() ?? 0
    const openedAt = performance.now()
    for (let opened = 0; opened < clients; opened += lanes) {
      for (let lane = 0; lane < lanes; lane += 1) {
        waits.push(wait({ agent, url, id: ids[(opened + lane) % jobs] ?? '', answered }))
      }
      await untilWatched(stack, statements + (opened + lanes) * 3)
    }
    report('seconds_to_open', (performance.now() - openedAt) / 1000, `s for ${clients}`)
    report('kib_per_client', (privateBytes(stack.edge.pid) - before) / 1024 / clients, 'KiB private')
    report('edge_isolate_peak_mib', heap.peakBytes() / 2 ** 20, 'MiB heap and buffers')
    await untilQuiet(stack)
    const during = stack.counters?.sql.statements() ?? 0
    await new Promise(resolve => setTimeout(resolve, 3_000))
    report('statements_while_waiting', (stack.counters?.sql.statements() ?? 0) - during, 'in 3 s')
    const late: number[] = []
    for (const id of ids) {
      const heard = answered.length
      const endedAt = performance.now()
      await cancel(url, id)
      while (answered.length < heard + clients / jobs) await new Promise(resolve => setTimeout(resolve, 1))
      late.push(...answered.slice(heard).map(at => at - endedAt))
    }
    await Promise.all(waits)
    report('heard_p50_ms', quantile(late, 0.5), "ms from an end to its 100 clients' answers")
    report('heard_p99_ms', quantile(late, 0.99), 'ms')
  } finally {
    await agent.destroy()
    heap.close()
    await stack.close()
  }
}

async function create(url: string): Promise<string> {
  const response = await fetch(`${url}/api/jobs`, {
    method: 'POST',
    body: '{"containers":["noop"],"data":{}}',
  })
  return ((await response.json()) as { id: string }).id
}

async function cancel(url: string, id: string): Promise<void> {
  await (await fetch(`${url}/api/jobs/${id}`, { method: 'DELETE' })).text()
}

type Wait = { agent: Agent; url: string; id: string; answered: number[] }

async function wait({ agent, url, id, answered }: Wait): Promise<void> {
  for (;;) {
    const { body } = await agent.request({ origin: url, path: `/api/jobs/${id}?wait=25`, method: 'GET' })
    const job = (await body.json()) as { state: string }
    if (job.state === 'queued') continue
    if (job.state !== 'cancelled') throw new Error(`Job ${id} ended as ${job.state}`)
    answered.push(performance.now())
    return
  }
}

/** Until the database was asked so often: each client has looked, and marked its job. */
async function untilWatched(
  { counters }: { counters: { sql: { statements(): number } } | null },
  target: number,
) {
  while ((counters?.sql.statements() ?? Number.POSITIVE_INFINITY) < target)
    await new Promise(resolve => setTimeout(resolve, 5))
}

/** Until half a second has passed without a statement. */
async function untilQuiet({
  counters,
}: {
  counters: { sql: { statements(): number } } | null
}): Promise<void> {
  for (let seen = -1; seen !== counters?.sql.statements(); ) {
    seen = counters?.sql.statements() ?? 0
    await new Promise(resolve => setTimeout(resolve, 500))
  }
}

/** What is the process's own, and no page of its program. */
function privateBytes(pid: number): number {
  const [, kib] = /RssAnon:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
  return Number(kib) * 1024
}
