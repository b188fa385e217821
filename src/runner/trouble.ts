import type { Log } from './log.ts'

export type Trouble = {
  failed(error: unknown): void
  over(): void
}

const repeatMs = 60_000

/**
 * Tells of a failure that goes on: the first time, when its text changes, once a minute, and when it is over. A loop that is
 * retried ten times a minute for an hour leaves some sixty lines.
 */
export function createTrouble({
  log,
  what,
  now = Date.now,
}: {
  log: Log
  what: string
  now?: () => number
}): Trouble {
  let last: { text: string; at: number } | null = null

  return {
    failed(error) {
      const text = messageOf(error)
      if (last?.text === text && now() - last.at < repeatMs) return
      last = { text, at: now() }
      log.warn(`${what} failed, trying again`, { error: text })
    },
    over() {
      if (last !== null) log.info(`${what} works again`)
      last = null
    },
  }
}

/** An error's message with those of its causes, in one line. */
export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  const own = error.message || code || error.name
  return error.cause === undefined ? own : `${own}: ${messageOf(error.cause)}`
}
