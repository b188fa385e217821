import { sql } from 'drizzle-orm'
import { isLane, mayWaitForChain } from '../jobs/lanes.ts'
import type { Plan, Planned } from './plan.ts'
import type { Step } from './step.ts'
import { waiting } from './waiting.ts'

type Entry = Plan['begun'][number]

/** Moves for those that were not begun since no lane is free for them: due as they were, they would keep others from being looked at. */
export async function laneless(step: Step, entries: readonly Entry[]): Promise<Planned[]> {
  const routes = new Set(entries.map(({ beginning }) => beginning.route).filter(isLane))
  if (routes.size === 0) return []
  const rows = await step.db.orm.all<{ route: string }>(sql`
    select value as route from json_each(${JSON.stringify([...routes])})
    where not ${mayWaitForChain({ route: sql`value`, others: sql`0` })}`)
  const full = new Set(rows.map(({ route }) => route))
  return entries
    .filter(({ beginning }) => full.has(beginning.route))
    .map(entry => waiting(step, entry, 'no_lane'))
}
