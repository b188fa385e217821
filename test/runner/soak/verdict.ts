import * as v from 'valibot'
import { type Job, StreamOutput } from '../../../src/protocol/job.ts'
import type { Blow } from './blows.ts'
import type { Made } from './load.ts'
import { type Kind, outputOf } from './plan.ts'
import { type Entry, maxTries } from './stand.ts'

/** All that has happened, as blows and containers tell it. */
export type Story = {
  blows: readonly Blow[]
  /** By the name of the job. */
  entries: ReadonlyMap<string, readonly Entry[]>
  /** Between which moments a container died, or was paused, which ends its jobs as well, by the container, in milliseconds since 1970. */
  deaths: ReadonlyMap<string, readonly Death[]>
}

/** A busy engine takes its time from when it is told to when it is done. */
type Death = Pick<Blow, 'from' | 'to'>

/** As a job may end that no blow has met. */
const usual: Record<Kind, readonly string[]> = {
  answer: ['success'],
  large: ['success'],
  long: ['success'],
  refuse: ['http_error'],
  exit: ['exited'],
  hang: ['timeout'],
  cancel: ['cancelled', 'success'],
  stream: ['success'],
}
/** Of a container that died under the job, or right before it came: how it died, or what was seen of it where the engine was late to say. */
const ofDeath = [
  'exited',
  'connection_lost',
  'connection_refused',
  'connection_failed',
  'not_ready',
  'container_unavailable',
]
/** A claim that was on its way when the container died is cut off, unless it has been answered. */
const onItsWayMs = 6_000

export function storyOf(blows: readonly Blow[], entries: readonly Entry[]): Story {
  const deaths = new Map<string, Death[]>()
  const die = (container: string, death: Death) =>
    void deaths.set(container, [...(deaths.get(container) ?? []), death])
  for (const { container, from, to } of blows) if (container !== null) die(container, { from, to })
  for (const { what, container, at } of entries) if (what === 'exits') die(container, { from: at, to: at })
  return { blows, entries: Map.groupBy(entries, ({ name }) => name), deaths }
}

export function outcomeOf({ state, error }: Job): string {
  return state === 'failed' ? (error?.code ?? 'failed') : state
}

/** What is wrong with how a job went, in words; nothing is as a rule. */
export function judge(job: Job, { plan, read }: Made, story: Story): string[] {
  const outcome = outcomeOf(job)
  const faults: string[] = []
  const fault = (text: string) => void faults.push(`${plan.name} (${plan.kind}, ${job.id}): ${text}`)
  const meetings = interruptionsOf(job, story)

  if (!expected(job, { plan, meetings, story }).includes(outcome))
    fault(`ended as ${outcome}, attempt ${job.attempt}: ${JSON.stringify(job.error)}`)
  if (outcome === 'success' && textOf(job, plan) !== outputOf(plan))
    fault(`was answered with what is not its own: ${(textOf(job, plan) ?? '').slice(0, 200)}`)
  if (plan.kind === 'stream' && !isReadRight(outcome, { read, whole: outputOf(plan) }))
    fault(`its client has read what its container did not say: ${read.slice(0, 200)}`)
  // Not attempts: a claim that is cut off, since a container became free meanwhile or went down, costs one, and nothing was begun.
  if (job.tries > 1 + meetings) fault(`was begun ${job.tries} times, and ${meetings} blows met it`)

  const entries = story.entries.get(plan.name) ?? []
  for (const { container } of entries)
    if (!plan.containers.includes(container)) fault(`${container} was called for it`)
  for (const container of plan.containers) {
    const count = (what: Entry['what']) =>
      entries.filter(entry => entry.container === container && entry.what === what).length
    if (count('called') > 1 + meetings)
      fault(`${container} was called ${count('called')} times for it, and ${meetings} blows met it`)
    if (outcome === 'success' && count('answered') === 0)
      fault(`succeeded, and ${container} has not answered`)
  }
  return faults
}

/** Blows that may have had a job begin anew: those to the runner and to its connection. */
function interruptionsOf(job: Job, { blows }: Story): number {
  const [from, to] = [Date.parse(job.created_at), Date.parse(job.finished_at ?? '')]
  return blows.filter(blow => blow.container === null && blow.from <= to && blow.to >= from).length
}

function expected(
  job: Job,
  { plan, meetings, story }: { plan: Made['plan']; meetings: number; story: Story },
): string[] {
  const died = plan.containers.some(container =>
    (story.deaths.get(container) ?? []).some(
      ({ from, to }) =>
        to >= Date.parse(job.claimed_at ?? '') - onItsWayMs &&
        from <= Date.parse(job.finished_at ?? '') + 1_000,
    ),
  )
  return [
    ...usual[plan.kind],
    ...(died ? ofDeath : []),
    // What was read of a stream nobody can begin anew.
    ...(plan.kind === 'stream' && meetings > 0 ? ['runner_stopped', 'lease_lost'] : []),
    ...(meetings >= maxTries ? ['lease_lost'] : []),
  ]
}

function textOf({ result }: Job, { kind }: Made['plan']): string | undefined {
  if (result === null || !('output' in result)) return undefined
  return kind === 'stream' ? v.parse(StreamOutput, result.output).output : JSON.stringify(result.output)
}

function isReadRight(outcome: string, { read, whole }: { read: string; whole: string }): boolean {
  return outcome === 'success' ? read === whole : whole.startsWith(read)
}
