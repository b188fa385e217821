import { expect } from 'vitest'
import type { Job } from '../../src/protocol/job.ts'
import { outputOf } from './container.ts'
import type { RunnerProcess, System } from './system.ts'
import { until } from './until.ts'

export const named = (name: string) => `{"name":"${name}"}`

/** Creates a job for each name. @returns names by id. */
export async function createAll(system: System, names: readonly string[]): Promise<Map<string, string>> {
  const ids = await Promise.all(names.map(name => system.createJob(named(name))))
  return new Map(ids.map((id, index) => [id, names[index] ?? '']))
}

export function idOf(jobs: ReadonlyMap<string, string>, name: string): string {
  const found = [...jobs].find(([, known]) => known === name)
  if (!found) throw new Error(`No job ${name}`)
  return found[0]
}

/** Waits until nothing is queued or running, the cron trigger firing meanwhile, and checks each job's result. */
export async function expectSuccesses(system: System, jobs: ReadonlyMap<string, string>): Promise<void> {
  const look = async () => {
    await system.edge.runSchedule()
    return (await pending(system)) === 0
  }
  await until('every job has ended', look, { everyMs: 100 })
  const ids = [...jobs.keys()]
  const ended = new Map<string, unknown>()
  for (let from = 0; from < ids.length; from += 100) {
    const query = ids.slice(from, from + 100).map(id => `id=${id}`)
    const response = await fetch(`${system.url}/api/jobs?${query.join('&')}`)
    for (const { id, status, result } of (await response.json()) as {
      id: string
      status: string
      result: { output: unknown }
    }[])
      ended.set(id, { status, output: result.output })
  }
  const expected = [...jobs].map(
    ([id, name]) => [id, { status: 'success', output: { seen: { name } } }] as const,
  )
  expect(Object.fromEntries(ended)).toEqual(Object.fromEntries(expected))
}

export async function pending({ db }: System): Promise<number> {
  const [row] = await db.orm.all<{ jobs: number }>(
    `select count(*) as jobs from jobs where state in ('queued', 'running')`,
  )
  return row?.jobs ?? Number.NaN
}

/** Until the leases of these jobs have lapsed, by the database's clock. */
export async function lapsed({ db }: System, ids: readonly string[]): Promise<void> {
  const list = ids.map(id => `'${id}'`).join(', ')
  await until('the leases have lapsed', async () => {
    const [row] = await db.orm.all<{ held: number }>(
      `select count(*) as held from jobs where id in (${list}) and lease_expires_at > unixepoch('subsec') * 1000`,
    )
    return row?.held === 0
  })
}

export async function spooled(runner: RunnerProcess, ids: readonly string[]): Promise<void> {
  await until('the results are in the spool', () => {
    const there = new Set(runner.spooled())
    return ids.every(id => there.has(id))
  })
}

/** What a job has cost: leases given, leases started. */
export function costOf({ state, attempt, tries }: Job): unknown {
  return { state, attempt, tries }
}

/** When the job's lease lapses unless it is renewed, by the database's clock. */
export async function leaseEnd({ db }: System, id: string): Promise<number> {
  const [row] = await db.orm.all<{ at: number }>(`select lease_expires_at as at from jobs where id = '${id}'`)
  return row?.at ?? Number.NaN
}

/** What a client gets for one job, as it is on the wire. */
export async function resultText({ url }: System, id = ''): Promise<string> {
  return await (await fetch(`${url}/api/jobs?id=${id}`)).text()
}

export function successText(id = '', data: string): string {
  return `[{"id":"${id}","status":"success","result":{"container":"echo","output":${outputOf(data)}}}]`
}

/** As the database has it, whatever becomes of the edge. */
export async function stateOf({ db }: System, id: string): Promise<string | undefined> {
  const [row] = await db.orm.all<{ state: string }>(`select state from jobs where id = '${id}'`)
  return row?.state
}

/** The process that has the lease, or had the last one. */
export async function whoHas({ db }: System, id: string): Promise<string | undefined> {
  const [row] = await db.orm.all<{ instance: string }>(`select instance from jobs where id = '${id}'`)
  return row?.instance
}
