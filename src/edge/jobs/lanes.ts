import { type SQL, sql } from 'drizzle-orm'

/**
 * A lane is a route that is more than one container: a chain, or containers with something required of the host. Claims look at each that
 * has waiting jobs, so that there may be only so many. Single containers are as many as runners offer.
 */

/** Lanes that may have waiting jobs at once, by who has opened them: neither clients nor contracts keep the others out. */
const maxClientLanes = 384
const maxChainLanes = 128
/** Of those that one owner has opened: the others may wait in lanes that somebody else has opened, however many. */
export const maxOwnedLanes = 32

export function isLane(route: string): boolean {
  return /[ ,]/.test(route)
}

/** `others`: lanes that the same statement may open before this one, those that are open already included. */
export type Place = { route: SQL; others: SQL }

/** Whether an owner's job may wait on a route. */
export function mayWait(owner: string, place: Place): SQL {
  return isOpenOr(place, [
    sql`(select count(*) from queued_routes where opener = ${owner}) + ${place.others} < ${maxOwnedLanes}`,
    sql`(select count(*) from queued_routes where opener not like 'chain:%') + ${place.others} < ${maxClientLanes}`,
  ])
}

/** Whether a job for a contract may. */
export function mayWaitForChain(place: Place): SQL {
  return isOpenOr(place, [
    sql`(select count(*) from queued_routes where opener like 'chain:%') + ${place.others} < ${maxChainLanes}`,
  ])
}

function isOpenOr({ route }: Place, bounds: readonly SQL[]): SQL {
  return sql`((instr(${route}, ',') = 0 and instr(${route}, ' ') = 0) or exists (select 1 from queued_routes where route = ${route})
    or (${sql.join([...bounds], sql` and `)}))`
}
