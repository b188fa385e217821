import type { Edge } from './connect.ts'
import { EdgeError } from './error.ts'

/** How the edge has answered lately. `status` null: not at all. */
export type EdgeAnswer = { route: string; status: number | null }

export type Meter = {
  /** The same edge, whose answers are counted. */
  readonly edge: Edge
  /** Milliseconds since it answered a request well; null: it never did. */
  answeredMsAgo(): number | null
  /** What the last request met, in the log's words, when that was a failure. */
  trouble(): string | null
  onAnswer(told: (answer: EdgeAnswer) => void): void
}

/** Watches an edge from this side. A request that we cut off ourselves says nothing of it. */
export function createMeter(
  edge: Edge,
  { now = () => performance.now() }: { now?: () => number } = {},
): Meter {
  let answeredAt: number | null = null
  let failure: string | null = null
  let told: (answer: EdgeAnswer) => void = () => {}

  async function measured<T>(path: string, asked: Promise<T>, statusOf: (answer: T) => number): Promise<T> {
    const route = routeOf(path)
    try {
      const answer = await asked
      answeredAt = now()
      failure = null
      told({ route, status: statusOf(answer) })
      return answer
    } catch (error) {
      if (error instanceof EdgeError) {
        // What it refuses for good is about the request; anything else about the edge, or our place with it.
        if (error.retry === 'never') answeredAt = now()
        else failure = error.message
        told({ route, status: error.status })
      }
      throw error
    }
  }

  return {
    edge: {
      ...edge,
      send: request => measured(request.path, edge.send(request), ({ statusCode }) => statusCode),
      pour: request => measured(request.path, edge.pour(request), () => 200),
    },
    answeredMsAgo: () => (answeredAt === null ? null : now() - answeredAt),
    trouble: () => failure,
    onAnswer(callback) {
      told = callback
    },
  }
}

/** `claim`, `report`, ...; of a lease's routes `input`, `result`, `stream`. */
function routeOf(path: string): string {
  const [, , route = '', , part = ''] = path.replace(/\?.*/, '').split('/')
  return route === 'jobs' ? part : route
}
