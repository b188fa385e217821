import type { System } from './system.ts'

export type Refusal = { status: number; retryAfter: string | null; code: unknown }

/** Clients that create jobs, one after the other each, until told to stop. */
export type Load = {
  /** Names of the jobs that were answered with an id, by that id. */
  accepted: ReadonlyMap<string, string>
  /** Answers that were no ids. */
  refused: readonly Refusal[]
  /** Creates that got no answer at all; whether they were stored nobody knows. */
  unanswered(): number
  /** Resolves when what was in flight has ended. */
  stop(): Promise<void>
}

const clients = 4
/** Between the creates of a client, so that the system is busy and not swamped. */
const betweenMs = 20

export function startLoad(system: System): Load {
  const accepted = new Map<string, string>()
  const refused: Refusal[] = []
  let unanswered = 0
  let stopped = false
  let made = 0

  async function createOne(): Promise<void> {
    const name = `load-${++made}`
    const response = await system.create(`{"name":"${name}"}`).catch(() => null)
    const body = (await response?.json().catch(() => null)) as { id?: string; code?: string } | null
    if (!response || !body) unanswered += 1
    else if (response.ok && body.id) accepted.set(body.id, name)
    else
      refused.push({
        status: response.status,
        retryAfter: response.headers.get('retry-after'),
        code: body.code,
      })
  }

  async function client(): Promise<void> {
    while (!stopped) {
      await createOne()
      await new Promise(resolve => setTimeout(resolve, betweenMs))
    }
  }

  const ended = Promise.all(Array.from({ length: clients }, client))
  return {
    accepted,
    refused,
    unanswered: () => unanswered,
    async stop() {
      stopped = true
      await ended
    },
  }
}
