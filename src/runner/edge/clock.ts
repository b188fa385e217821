import { limits } from '../../protocol/limits.ts'
import { program } from '../program.ts'

/** Why a token was refused, as far as it can be told from here: a clock that is off, or a key that the edge does not know. */
export function explainRefusal({
  date,
  now,
  id,
}: {
  date: string | undefined
  now: number
  id: string
}): string {
  const theirs = date === undefined ? Number.NaN : Date.parse(date)
  const aheadMs = now - theirs
  if (Math.abs(aheadMs) > limits.clockToleranceMs) {
    const seconds = Math.round(Math.abs(aheadMs) / 1000)
    return `this host's clock is ${seconds} s ${aheadMs > 0 ? 'ahead of' : 'behind'} the edge's; set it right`
  }
  return `the key of runner ${id} is not enrolled there, or was revoked; enrol it with \`${program} enrol\``
}

/** By how much this host's clock is ahead of whoever wrote a `Date` header, to the half second that it leaves open; null: there is none. */
export function aheadMs({ date, now }: { date: string | undefined; now: number }): number | null {
  const theirs = date === undefined ? Number.NaN : Date.parse(date)
  return Number.isNaN(theirs) ? null : now - (theirs + 500)
}
