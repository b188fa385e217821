import { type SQL, sql } from 'drizzle-orm'

/**
 * One interval may be begun twice by one node: for what was signed, and for what the chain has by then, as long as nobody has seen that they
 * are the same. One of the two answers is kept, the other has this reason.
 */
export const begunTwice = {
  reason: 'begun_twice',
  message: 'The interval was begun twice, and the other answer is kept.',
} as const

/** Whether one of two rows of `deliveries` has come further than another: what the chain has taken counts most, then what is on its way. */
export function betterOf(one: string, other: string): SQL {
  return sql.raw(`(${rankOf(one)} > ${rankOf(other)})`)
}

function rankOf(name: string): string {
  return `instr('dropped computing computed sending delivered final', ${name}.state)`
}
