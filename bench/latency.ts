import { Pool } from 'undici'
import * as v from 'valibot'
import type { Report } from './report.ts'
import type { BenchStack } from './stack.ts'

const body =
  '{"containers":["noop"],"data":{"prompt":"a question of ordinary length, for want of a better one"}}'
/** Between two jobs, so that each finds the system idle. */
const idleMs = 50
/** The first finds a runner that has registered, but not heard from its container yet. */
const warmUps = 20

const Created = v.object({ id: v.string() })
const Answer = v.object({
  state: v.literal('success'),
  result: v.object({ output: v.object({ at: v.pipe(v.string(), v.regex(/^\d+$/)) }) }),
})

/** How long one job alone takes on an idle system: until its container is called, and until a client that waits has the result. */
export async function measureLatency(
  { edge, startRunner }: BenchStack,
  { report, seconds }: { report: Report; seconds: number },
): Promise<void> {
  const runner = await startRunner()
  const pool = new Pool(edge.url, { connections: 1 })
  const dispatch: number[] = []
  const waited: number[] = []
  let end = Number.POSITIVE_INFINITY
  for (let run = -warmUps; performance.now() < end; run += 1) {
    if (run === 0) end = performance.now() + seconds * 1000
    const times = { dispatch: await timeDispatch(pool), waited: await timeWaited(pool) }
    if (run < 0) continue
    dispatch.push(times.dispatch)
    waited.push(times.waited)
  }
  await pool.close()
  await runner.close()
  report('dispatch_p50_ms', quantile(dispatch, 0.5), 'ms')
  report('dispatch_p99_ms', quantile(dispatch, 0.99), 'ms')
  report('waited_p50_ms', quantile(waited, 0.5), 'ms')
  report('waited_p99_ms', quantile(waited, 0.99), 'ms')
}

/** From sending the request to the call of the container; the result is read when all is over. */
async function timeDispatch(pool: Pool): Promise<number> {
  const sentAt = process.hrtime.bigint()
  const created = await pool.request({ path: '/api/jobs', method: 'POST', body })
  const { id } = v.parse(Created, await created.body.json())
  await idle()
  const read = await pool.request({ path: `/api/jobs/${id}?wait=20`, method: 'GET' })
  const { result } = v.parse(Answer, await read.body.json())
  await idle()
  return milliseconds(BigInt(result.output.at) - sentAt)
}

async function timeWaited(pool: Pool): Promise<number> {
  const sentAt = process.hrtime.bigint()
  const response = await pool.request({ path: '/api/jobs?wait=20', method: 'POST', body })
  v.parse(Answer, await response.body.json())
  const ms = milliseconds(process.hrtime.bigint() - sentAt)
  await idle()
  return ms
}

async function idle(): Promise<void> {
  await new Promise(resolve => setTimeout(resolve, idleMs))
}

function milliseconds(nanoseconds: bigint): number {
  return Number(nanoseconds) / 1e6
}

export function quantile(values: readonly number[], q: number): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length * q)] ?? Number.NaN
}
