import { containersOf, requiresOf } from '../../protocol/container.ts'
import type { Waiting } from '../../protocol/job.ts'
import type { Db } from '../db/open.ts'
import { type Hindrances, readHindrances } from '../jobs/down.ts'
import { isOffered, isOnline } from './admit.ts'
import type { PolicySnapshot } from './policy.ts'

/** Why no host has taken a job that waits for a while. */
export type WhyWaiting = (snapshot: PolicySnapshot, route: string) => Promise<Waiting>

/** Where no host is online, everybody who waits looks again and again. */
const memoryMs = 1_000

/** The database is asked only where no host could have taken it, and of each route once a second. */
export function createWhyWaiting({ db, now }: { db: Db; now(): number }): WhyWaiting {
  let asOf: PolicySnapshot | undefined
  const found = new Map<string, { hindrances: Hindrances; at: number }>()

  async function hindrancesOf(snapshot: PolicySnapshot, route: string): Promise<Hindrances> {
    if (snapshot !== asOf) found.clear()
    asOf = snapshot
    const at = now()
    const last = found.get(route)
    if (last !== undefined && at - last.at < memoryMs) return last.hindrances
    const hindrances = await readHindrances(db, route)
    found.set(route, { hindrances, at })
    return hindrances
  }

  return async (snapshot, route) => toldBy(snapshot, route) ?? hindered(await hindrancesOf(snapshot, route))
}

/** What the policy itself says; null: no host is online that has all of it. */
function toldBy(snapshot: PolicySnapshot, route: string): Waiting | null {
  const containers = containersOf(route)
  const requires = requiresOf(route)
  if (isOnline(snapshot, { containers, requires }))
    return { code: 'busy', message: 'Every host that could take it is busy with jobs that came before' }
  if (!isOffered(snapshot, { containers, requires: null }))
    return { code: 'no_host', message: 'No enrolled host has its containers' }
  if (!isOffered(snapshot, { containers, requires }))
    return {
      code: 'unmet_requires',
      message: 'No enrolled host with its containers has the labels that it requires',
    }
  return null
}

/** In the order in which an operator would have to help: what a host is held by holds its containers as well. */
function hindered({ down, held, heard }: Hindrances): Waiting {
  if (heard === 0)
    return { code: 'offline', message: 'No host with its containers was heard of for the last two minutes' }
  const holding = held.reduce((sum, { hosts }) => sum + hosts, 0)
  if (holding === heard) {
    const reasons = held.map(({ why, hosts }) => `${why} (${hosts})`).join(', ')
    return { code: 'held', message: `Every host with its containers is held: ${reasons}` }
  }
  if (down !== null)
    return { code: 'not_ready', message: `Container ${down.container} is not ready: ${down.why}` }
  return { code: 'not_ready', message: 'No host with all that it wants is ready' }
}
