import * as v from 'valibot'
import { limits } from '../protocol/limits.ts'
import { badAnswer, parse } from './answer.ts'
import type { Answer, CallOptions, Transport } from './transport.ts'

export type ListOptions = CallOptions & {
  /** true: jobs that wait or run; false: those that ended; neither: both. */
  pending?: boolean | undefined
  /** The most ids to give; all of them otherwise. */
  limit?: number
}

/** The ids of one's own jobs, newest first (on each page pending ones first), page after page as they are consumed. */
export async function* listJobs(
  transport: Transport,
  { pending, limit = Number.POSITIVE_INFINITY, signal }: ListOptions = {},
): AsyncGenerator<string, void, undefined> {
  let left = limit
  let cursor: string | null = null
  while (left > 0) {
    const query = new URLSearchParams()
    if (pending !== undefined) query.set('pending', String(pending))
    if (left < limits.listIds) query.set('limit', String(left))
    if (cursor !== null) query.set('cursor', cursor)
    const answer: Answer = await transport.send({
      method: 'GET',
      path: '/api/jobs',
      query,
      repeatable: true,
      signal,
    })
    const ids = parse(v.array(v.string()), answer).slice(0, left)
    yield* ids
    left -= ids.length
    const next = nextCursor(answer)
    if (next === null) return
    if (next === cursor) throw badAnswer(answer, 'its next page is itself')
    cursor = next
  }
}

/** The cursor in `link: <...>; rel="next"`. Only the cursor: behind a proxy the path may be another. */
function nextCursor({ headers }: Answer): string | null {
  const target = headers.get('link')?.match(/<([^>]*)>\s*;\s*rel="?next"?/)?.[1]
  return new URLSearchParams(target?.split('?')[1]).get('cursor')
}
