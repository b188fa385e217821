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

const Answer = v.object({
  state: v.literal('success'),
  result: v.object({ output: v.object({ at: v.pipe(v.string(), v.regex(/^\d+$/)) }) }),
})

/** How long one job alone takes on an idle system: until its container is called, and until its client has the result. */
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
    const sentAt = process.hrtime.bigint()
    const response = await pool.request({ path: '/api/jobs?wait=20', method: 'POST', body })
    const { result } = v.parse(Answer, await response.body.json())
    if (run >= 0) {
      waited.push(milliseconds(process.hrtime.bigint() - sentAt))
      dispatch.push(milliseconds(BigInt(result.output.at) - sentAt))
    }
    await new Promise(resolve => setTimeout(resolve, idleMs))
  }
  await pool.close()
  await runner.close()
  report('dispatch_p50_ms', quantile(dispatch, 0.5), 'ms')
  report('dispatch_p99_ms', quantile(dispatch, 0.99), 'ms')
  report('waited_p50_ms', quantile(waited, 0.5), 'ms')
  report('waited_p99_ms', quantile(waited, 0.99), 'ms')
}

function milliseconds(nanoseconds: bigint): number {
  return Number(nanoseconds) / 1e6
}

export function quantile(values: readonly number[], q: number): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length * q)] ?? Number.NaN
}
