import { resultText, stateOf, successText } from './jobs.ts'
import type { System } from './system.ts'
import { until } from './until.ts'

/** Two jobs that go through the steps together: one whose payloads are inline, one whose input and result are in parts. */
export type Pair = { small: Created; large: Created }

export type Created = {
  id: string
  /** By which the container knows it. */
  name: string
  data: string
}

/** What a job came to, and what it cost: leases given, leases started, whole calls of the container. */
export type Outcome = { result: string; attempt: number; tries: number; calls: number }

const smallOf = (name: string) => `{"name":"${name}"}`
/** Above 64 KiB, as its result: two parts each. */
const largeOf = (name: string) => `{"name":"${name}","text":"${'é'.repeat(150_000)}"}`

let created = 0

/** Creates both, as a client does that sends again when it is answered with no id. */
export async function createPair(system: System): Promise<Pair> {
  const [small, large] = await Promise.all([
    createUntilAccepted(system, smallOf),
    createUntilAccepted(system, largeOf),
  ])
  return { small, large }
}

async function createUntilAccepted(system: System, dataOf: (name: string) => string): Promise<Created> {
  return await until('the job is accepted', async () => {
    // What an unanswered request has stored, if anything, is another job.
    const name = `job-${++created}`
    const data = dataOf(name)
    const id = await system.createJob(data).catch(() => null)
    return id === null ? null : { id, name, data }
  })
}

export async function ended(system: System, { small, large }: Pair): Promise<void> {
  const isOver = (state: string | undefined) => state === 'success' || state === 'failed'
  await until(
    'both have ended',
    async () => isOver(await stateOf(system, small.id)) && isOver(await stateOf(system, large.id)),
  )
}

/** As a client and the container know it: `right` is the right output, to the byte; otherwise the code of the failure. */
export async function outcomeOf(system: System, { id, name, data }: Created): Promise<Outcome> {
  const { state, attempt, tries } = await system.job(id)
  const text = await resultText(system, id)
  const code = /"code":"([^"]*)"/.exec(text.slice(0, 1_000))?.[1] ?? text.slice(0, 200)
  const result = text === successText(id, data) && state === 'success' ? 'right' : code
  return { result, attempt, tries, calls: system.container.calls(name) }
}
