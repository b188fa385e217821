/** An edge that holds requests does not answer an empty one so soon. */
const promptMs = 500
/** Even an edge that asks for no waiting is not polled more often than this. */
const leastMs = 50

/** An empty answer to a long poll came much earlier than asked for: the edge does not hold requests, and has to be polled. */
export function cameEarly({ elapsedMs, waitMs }: { elapsedMs: number; waitMs: number }): boolean {
  return elapsedMs < Math.min(promptMs, Math.max(waitMs / 2, leastMs))
}

/** How long to wait then, with jitter. */
export function pollPauseMs(): number {
  return promptMs * (0.5 + Math.random())
}
