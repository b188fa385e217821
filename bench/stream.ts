import { Agent } from 'undici'
import type { Report } from './report.ts'
import { residentBytes } from './resident.ts'
import { type BenchStack, startBenchStack } from './stack.ts'

/**
 * Streams through the whole system on one machine, against the same container called directly, in turns: what is added to the first byte
 * of payload, and to a piece at 50 a second; how fast a large output goes through; and the longest pause of any of 100 streams at once.
 */
export async function benchStream(report: Report, { seconds }: { seconds: number }): Promise<void> {
  const stack = await startBenchStack({ count: false, container: 'pour' })
  const runner = await stack.startRunner()
  const agent = new Agent({ connections: 256, headersTimeout: 0, bodyTimeout: 0 })
  try {
    await firstBytes(stack, { agent, report, seconds })
    await pieces(stack, { agent, report, seconds })
    await bulk(stack, { agent, report })
    await stalls(stack, { agent, report, seconds })
    await slowReader(stack, { agent, report, runnerPid: runner.pid })
  } finally {
    await runner.close()
    await agent.destroy()
    await stack.close()
  }
}

type Options = { agent: Agent; report: Report; seconds: number }
type Asked = { pieces?: number; every_ms?: number; bytes?: number }

const mebibyte = 1024 * 1024
const idBytes = 37
const perSecond = 50

async function firstBytes(stack: BenchStack, { agent, report, seconds }: Options): Promise<void> {
  const times: Record<Way, number[]> = { direct: [], edge: [] }
  const end = performance.now() + seconds * 1000
  while (performance.now() < end) {
    for (const way of ways) {
      const started = performance.now()
      let first = Number.NaN
      for await (const piece of read(stack, agent, way, { pieces: 1 }))
        if (piece.length > 0 && Number.isNaN(first)) first = performance.now() - started
      times[way].push(first)
    }
  }
  report('ttfb_direct_p50_ms', at(times.direct, 0.5), 'ms')
  report('ttfb_added_p50_ms', at(times.edge, 0.5) - at(times.direct, 0.5), 'ms')
  report('ttfb_added_p99_ms', at(times.edge, 0.99) - at(times.direct, 0.99), 'ms')
}

/** One stream each way at a time. */
async function pieces(stack: BenchStack, { agent, report, seconds }: Options): Promise<void> {
  const lags: Record<Way, number[]> = { direct: [], edge: [] }
  for (const way of ways) {
    const asked = { pieces: seconds * perSecond, every_ms: 1000 / perSecond }
    for await (const piece of read(stack, agent, way, asked)) lags[way].push(...lagsOf(piece))
  }
  report('chunk_direct_p50_ms', at(lags.direct, 0.5), 'ms')
  report('chunk_added_p50_ms', at(lags.edge, 0.5) - at(lags.direct, 0.5), 'ms')
  report('chunk_added_p99_ms', at(lags.edge, 0.99) - at(lags.direct, 0.99), 'ms')
}

async function bulk(stack: BenchStack, { agent, report }: Omit<Options, 'seconds'>): Promise<void> {
  const bytes = 256 * 1024 * 1024
  for (const way of ways) {
    const started = performance.now()
    let taken = 0
    for await (const piece of read(stack, agent, way, { bytes })) taken += piece.length
    if (taken !== bytes) throw new Error(`Of ${bytes} bytes ${taken} came`)
    const rate = bytes / 1e6 / ((performance.now() - started) / 1000)
    report(way === 'edge' ? 'bulk_mb_per_s' : 'bulk_direct_mb_per_s', rate, 'MB/s')
  }
}

async function stalls(stack: BenchStack, { agent, report, seconds }: Options): Promise<void> {
  let worst = 0
  const asked = { pieces: seconds * perSecond, every_ms: 1000 / perSecond }
  const streams = Array.from({ length: 100 }, async () => {
    let before = Number.NaN
    for await (const piece of read(stack, agent, 'edge', asked)) {
      const now = performance.now()
      if (piece.length > 0 && !Number.isNaN(before)) worst = Math.max(worst, now - before)
      if (piece.length > 0) before = now
    }
  })
  await Promise.all(streams)
  report('worst_stall_ms', worst, 'ms')
}

/** 1 GiB through a client that takes 25 MB/s: how much each program grows. */
async function slowReader(
  stack: BenchStack,
  { agent, report, runnerPid }: Pick<Options, 'agent' | 'report'> & { runnerPid: number },
): Promise<void> {
  const pids = { edge: stack.edge.pid, runner: runnerPid }
  const bytes = 1024 * mebibyte
  const before = { edge: residentBytes(pids.edge), runner: residentBytes(pids.runner) }
  const most = { ...before }
  let taken = 0
  let due = performance.now()
  for await (const piece of read(stack, agent, 'edge', { bytes })) {
    taken += piece.length
    due += piece.length / 25_000
    if (due - performance.now() < 100) continue
    for (const name of ['edge', 'runner'] as const)
      most[name] = Math.max(most[name], residentBytes(pids[name]))
    await new Promise(resolve => setTimeout(resolve, due - performance.now()))
  }
  if (taken !== bytes) throw new Error(`Of ${bytes} bytes ${taken} came`)
  report('slow_edge_growth_mib', (most.edge - before.edge) / mebibyte, 'MiB')
  report('slow_runner_growth_mib', (most.runner - before.runner) / mebibyte, 'MiB')
}

type Way = 'direct' | 'edge'
const ways = ['direct', 'edge'] as const

/** The payload, as it comes. */
async function* read(
  { edge, programUrl }: BenchStack,
  agent: Agent,
  way: Way,
  data: Asked,
): AsyncGenerator<Buffer> {
  const asked = way === 'edge' ? { containers: ['pour'], data } : { source: 1, destination: 2, data }
  const { body, statusCode } = await agent.request({
    origin: way === 'edge' ? edge.url : programUrl,
    path: way === 'edge' ? '/api/jobs/stream' : '/service_output',
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(asked),
  })
  if (statusCode !== 200) throw new Error(`${way} answered ${statusCode}: ${await body.text()}`)
  let left = way === 'edge' ? idBytes : 0
  for await (const piece of body as AsyncIterable<Buffer>) {
    yield piece.subarray(left)
    left = Math.max(0, left - piece.length)
  }
}

/** How long ago each line was sent. A line is short, and never cut in practice; one that is, is left out. */
function lagsOf(piece: Buffer): number[] {
  const now = performance.timeOrigin + performance.now()
  return piece
    .toString()
    .split('\n')
    .map(Number)
    .filter(sentAt => sentAt > 1e12)
    .map(sentAt => now - sentAt)
}

function at(times: number[], quantile: number): number {
  const sorted = times.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length * quantile)] ?? Number.NaN
}
