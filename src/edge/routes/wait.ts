import type { Context } from 'hono'
import { limits } from '../../protocol/limits.ts'
import type { Ends } from '../bell/ends.ts'
import type { Context as App } from '../context.ts'
import { selectUnended, watch } from '../jobs/watch.ts'
import type { Parameter } from './describe.ts'
import { RefusalError } from './refuse.ts'

export const waitParameters: readonly Parameter[] = [
  { name: 'wait', in: 'query', description: `Seconds to wait for the end, up to ${limits.waitSeconds}.` },
  { name: 'Prefer', in: 'header', description: '`wait=SECONDS`: the same, as a wish.' },
]

/**
 * How long a client wants to wait for an end, in milliseconds: `?wait=SECONDS`, else `Prefer: wait=SECONDS` (RFC 7240), of which we take
 * what we can; `tellWaited` says so.
 * @throws RefusalError when `wait` is not a number of seconds that we can wait.
 */
export function waitOf(c: Context): number {
  const asked = c.req.query('wait')
  if (asked === undefined) return preferredWait(c)
  const seconds = /^\d+(\.\d+)?$/.test(asked) ? Number(asked) : Number.NaN
  if (seconds <= limits.waitSeconds) return seconds * 1000
  throw new RefusalError(
    'invalid_request',
    `Invalid query: wait: must be a number of seconds from 0 to ${limits.waitSeconds}`,
    { limit: limits.waitSeconds },
  )
}

function preferredWait(c: Context): number {
  const [, asked] =
    /(?:^|[,;\s])wait\s*=\s*"?(\d{1,9})"?\s*(?:[,;]|$)/i.exec(c.req.header('prefer') ?? '') ?? []
  if (asked === undefined) return 0
  return Math.min(Number(asked), limits.waitSeconds) * 1000
}

/** Says in an answer, which waited, that the wish was granted: a refusal, or an answer that could not wait, has not. */
export function tellWaited(c: Context): void {
  const waitMs = c.req.query('wait') === undefined ? preferredWait(c) : 0
  if (waitMs > 0) c.header('preference-applied', `wait=${waitMs / 1000}`)
}

export type Awaited = {
  owner: string
  ids: readonly string[]
  /** They were stored as watched. */
  areWatched?: boolean
  /** By `app.now()`. */
  deadline: number
  /** Aborts when the client leaves. */
  signal: AbortSignal
}

/**
 * Until these jobs have ended or the time is over, woken by the bell; the database is asked once before, and once after each end. Of
 * one job it may return early: its caller reads it anyway, and comes back.
 * @returns false when the node has too many that wait: then there is no use in coming back.
 */
export async function untilEnded(
  app: App,
  ends: Ends,
  { owner, ids, areWatched = false, deadline, signal }: Awaited,
): Promise<boolean> {
  let target = ids.at(-1)
  let look = areWatched ? selectUnended : watch
  while (target !== undefined) {
    const id: string = target
    let pending: readonly string[] = ids
    const waited = await ends.wait(id, { deadline, signal }, async () => {
      pending = await look(app.db, { owner, ids })
      look = selectUnended
      return !pending.includes(id)
    })
    if (!waited || ids.length === 1) return waited
    if (app.now() >= deadline || signal.aborted) return true
    // The newest of those that are left is likely to be the last.
    target = pending.includes(id) ? id : pending[0]
  }
  return true
}
