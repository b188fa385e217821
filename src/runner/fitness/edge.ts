import { limits } from '../../protocol/limits.ts'
import type { Found } from './found.ts'

/** When the edge was last heard, and by how much this host's clock was ahead of its then; null: it does not say. */
export type Heard = { at: number; aheadMs: number | null }

/** An edge that is up answers a long poll within 25 s. */
const silentMs = 60_000

/** A clock that is off has every token refused. */
export function checkClock(heard: Heard | null): Found[] {
  const aheadMs = heard?.aheadMs ?? 0
  if (Math.abs(aheadMs) <= limits.clockToleranceMs) return []
  const most = limits.clockToleranceMs / 1000
  const detail = `This host's clock is more than ${most} s ${aheadMs > 0 ? 'ahead of' : 'behind'} the edge's; set it right`
  return [{ code: 'clock_off', detail, containers: null }]
}

/** Nothing is held for it: it is by claiming that a runner finds the edge again. `startedAt`: as `heard.at`, by `performance.now()`. */
export function checkEdge({
  heard,
  now,
  startedAt,
}: {
  heard: Heard | null
  now: number
  startedAt: number
}): Found[] {
  if (now - (heard?.at ?? startedAt) < silentMs) return []
  return [
    { code: 'edge_unreachable', detail: 'The edge was not heard of for a minute or more', containers: [] },
  ]
}
