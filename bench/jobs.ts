import { Pool } from 'undici'
import { openDb } from '../src/edge/db/open.ts'
import { measureLatency } from './latency.ts'
import { createUntil } from './load.ts'
import type { Report } from './report.ts'
import { type BenchStack, startBenchStack } from './stack.ts'

/**
 * Jobs through the whole system on one machine: load generator, edge on workerd, libSQL server, runner, a container that does
 * nothing. Creates are single requests; results are counted in the database. `e2e`: created and polled for; `waited`: created with `?wait`;
 * `dispatch`: from sending the request to the call of the container.
 */
export async function benchJobs(report: Report, { seconds }: { seconds: number }): Promise<void> {
  const timed = await startBenchStack({ count: false })
  try {
    await storedPerSecond(timed, { report, seconds })
    await completedPerSecond(timed, { report, seconds })
    await endToEnd(timed, { report, seconds })
    await measureLatency(timed, { report, seconds })
  } finally {
    await timed.close()
  }
  const counted = await startBenchStack({ count: true })
  try {
    await countsPerJob(counted, { report })
  } finally {
    await counted.close()
  }
}

type Options = { report: Report; seconds: number }

const body =
  '{"containers":["noop"],"data":{"prompt":"a question of ordinary length, for want of a better one"}}'
const connections = 64
/** More waiting jobs than this would measure the queue's growth, not the runner. */
const maxAhead = 1_000

async function storedPerSecond({ edge }: BenchStack, { report, seconds }: Options): Promise<void> {
  await createUntil({ url: edge.url, connections, body, signal: AbortSignal.timeout(2_000) })
  const started = performance.now()
  const stored = await createUntil({
    url: edge.url,
    connections,
    body,
    signal: AbortSignal.timeout(seconds * 1000),
  })
  report('stored_per_s', stored / ((performance.now() - started) / 1000), '1/s')
}

async function completedPerSecond(
  { edge, databaseUrl, startRunner }: BenchStack,
  { report, seconds }: Options,
): Promise<void> {
  const { waiting, succeeded } = createLook(databaseUrl)
  const runner = await startRunner()
  // The jobs of the step before come first, and warm everything up.
  await until(async () => (await waiting()) < maxAhead)
  const over = new AbortController()
  let allowed = true
  const gate = setInterval(async () => {
    allowed = (await waiting()) < maxAhead
  }, 100)
  const mayGoOn = async () => {
    while (!allowed && !over.signal.aborted) await new Promise(resolve => setTimeout(resolve, 5))
  }
  const load = createUntil({ url: edge.url, connections, body, signal: over.signal, mayGoOn })
  const from = { done: await succeeded(), at: performance.now() }
  await new Promise(resolve => setTimeout(resolve, seconds * 1000))
  const to = { done: await succeeded(), at: performance.now() }
  over.abort()
  clearInterval(gate)
  await load
  report('completed_per_s', (to.done - from.done) / ((to.at - from.at) / 1000), '1/s')
  await until(async () => (await waiting()) === 0)
  await succeeded()
  await runner.close()
}

async function endToEnd({ edge, startRunner }: BenchStack, { report, seconds }: Options): Promise<void> {
  const runner = await startRunner()
  const pool = new Pool(edge.url, { connections: 1 })
  const times: number[] = []
  const end = performance.now() + seconds * 1000
  while (performance.now() < end) {
    const started = performance.now()
    const { id } = (await (await pool.request({ path: '/api/jobs', method: 'POST', body })).body.json()) as {
      id: string
    }
    for (;;) {
      const answer = await pool.request({ path: `/api/jobs?id=${id}`, method: 'GET' })
      const [job] = (await answer.body.json()) as { status: string }[]
      if (job?.status === 'success') break
      if (job?.status !== 'running') throw new Error(`Job ${id} ended as ${job?.status}`)
    }
    times.push(performance.now() - started)
  }
  await pool.close()
  await runner.close()
  times.sort((a, b) => a - b)
  report('e2e_p50_ms', times[Math.floor(times.length * 0.5)] ?? Number.NaN, 'ms')
  report('e2e_p99_ms', times[Math.floor(times.length * 0.99)] ?? Number.NaN, 'ms')
}

async function countsPerJob(
  { edge, databaseUrl, counters, startRunner }: BenchStack,
  { report }: { report: Report },
): Promise<void> {
  if (!counters) return
  const { waiting, succeeded } = createLook(databaseUrl)
  const runner = await startRunner()
  const before = {
    sql: counters.sql.statements(),
    runner: counters.runner.requests(),
    done: await succeeded(),
  }
  const created = await createUntil({ url: edge.url, connections, body, signal: AbortSignal.timeout(3_000) })
  await until(async () => (await waiting()) === 0)
  const done = (await succeeded()) - before.done
  if (done !== created) throw new Error(`Of ${created} jobs ${done} succeeded`)
  report('statements_per_job', (counters.sql.statements() - before.sql) / created, 'statements')
  report('requests_per_job', (counters.runner.requests() - before.runner + created) / created, 'requests')
  await runner.close()
}

type Look = { waiting(): Promise<number>; succeeded(): Promise<number> }

/** Counts past the edge, so that looking does not disturb it. `succeeded` reads every job and throws when one ended otherwise. */
function createLook(databaseUrl: string): Look {
  const { orm } = openDb({ url: databaseUrl })
  return {
    async waiting() {
      const [row] = await orm.all<{ jobs: number }>(
        `select coalesce(sum(queued + running), 0) as jobs from queue_counts where owner = '*'`,
      )
      return row?.jobs ?? 0
    },
    async succeeded() {
      const [row] = await orm.all<{ done: number; other: number }>(
        `select count(*) filter (where state = 'success') as done,
          count(*) filter (where state not in ('success', 'receiving', 'queued', 'running')) as other from jobs`,
      )
      if (row?.other !== 0) throw new Error(`${row?.other} jobs did not succeed`)
      return row.done
    },
  }
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise(resolve => setTimeout(resolve, 50))
}
