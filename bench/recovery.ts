import { killed } from '../test/flows/part.ts'
import { type System, startSystem } from '../test/flows/system.ts'
import { until } from '../test/flows/until.ts'
import type { Report } from './report.ts'

/** Production's, as `wrangler.toml` has them. */
const leases = { leaseMs: 60_000, heartbeatMs: 20_000 }
/** Runners killed, each in a system of its own, side by side: each takes as long as a lease. */
const kills = 3
const lostClaims = 5
/** How long the edge is away, the last one for longer than a lease outlives a silence. */
const outagesMs = [500, 1_000, 2_000, 5_000, 15_000]
const longOutageMs = 60_000

const patience = { withinMs: 120_000 }
const isClaim = ({ path }: { path: string }) => path === '/runner/claim'

/** How long it takes until work goes on after a crash, at production's pace. The cron trigger, which would help, does not fire. */
export async function benchRecovery(report: Report): Promise<void> {
  const killing = Promise.all(Array.from({ length: kills }, runnerKilled))
  const [elsewhere, claims, restarts] = await Promise.all([killing, claimsLost(), edgeRestarted()])
  report('runner_killed_to_running_elsewhere_s', median(elsewhere), 's')
  report('runner_killed_worst_s', Math.max(...elsewhere), 's')
  report('lost_claim_to_reissued_claims', median(claims), 'claims')
  report('edge_restarted_to_first_claim_s', median(restarts.short), 's')
  report('edge_restarted_worst_s', Math.max(...restarts.short), 's')
  report('edge_away_60_s_to_first_claim_s', restarts.long, 's')
}

/** Killed just after a heartbeat, so that its leases last as long as they can. */
async function runnerKilled(): Promise<number> {
  return await within(1, async system => {
    const { container, gates } = system
    const runner = await system.startRunner()
    await container.hold('job')
    const id = await system.createJob('{"name":"job"}')
    await until('it has started', async () => (await system.job(id)).tries === 1)
    await system.startRunner({ key: 'other', spool: 'other' })
    const leaseEnd = async () => (await system.db.orm.all(`select lease_expires_at from jobs`))[0]
    const before = JSON.stringify(await leaseEnd())
    await until('the lease is renewed', async () => JSON.stringify(await leaseEnd()) !== before, patience)
    const at = performance.now()
    await killed(runner)
    await until('the job runs elsewhere', () => container.calls('job') === 2, patience)
    gates.edge.clear()
    return seconds(at)
  })
}

/** How many claims it takes until the jobs of a lost answer are given again. */
async function claimsLost(): Promise<number[]> {
  // With one slot nothing is claimed while a job runs, so that claims can be counted.
  return await within(1, async ({ container, gates, startRunner, createJob }) => {
    const counts: number[] = []
    const first = gates.edge.hold('request', isClaim)
    await startRunner()
    await first.reached()
    first.release()
    for (let run = 0; run < lostClaims; run += 1) {
      const name = `lost-${run}`
      await container.hold(name)
      const left = gates.edge.swallow(1, answer => isClaim(answer) && answer.body.includes('"attempt":1'))
      await createJob(`{"name":"${name}"}`)
      await until('the answer is lost', () => left() === 0)
      const before = gates.edge.requests.filter(isClaim).length
      await until('the job runs', () => container.calls(name) === 1, patience)
      counts.push(gates.edge.requests.filter(isClaim).length - before)
      await container.release(name)
      await until('the runner claims again', () => gates.edge.requests.filter(isClaim).length > before + 1)
    }
    return counts
  })
}

async function edgeRestarted(): Promise<{ short: number[]; long: number }> {
  return await within(1, async system => {
    await system.startRunner()
    const short: number[] = []
    for (const outageMs of outagesMs) short.push(await restart(system, outageMs))
    return { short, long: await restart(system, longOutageMs) }
  })
}

/** @returns seconds from the moment at which the edge listens again to the first claim that comes to it. */
async function restart({ edge, gates }: System, outageMs: number): Promise<number> {
  await edge.kill()
  const claims = gates.edge.requests.filter(isClaim).length
  await new Promise(resolve => setTimeout(resolve, outageMs))
  await edge.start()
  const at = performance.now()
  await until('a claim comes', () => gates.edge.requests.filter(isClaim).length > claims, {
    ...patience,
    everyMs: 5,
  })
  return seconds(at)
}

async function within<T>(slots: number, work: (system: System) => Promise<T>): Promise<T> {
  const system = await startSystem({ slots, leases })
  try {
    return await work(system)
  } finally {
    await system.close()
  }
}

function seconds(from: number): number {
  return (performance.now() - from) / 1000
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN
}
