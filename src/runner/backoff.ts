export type Backoff = {
  /** Milliseconds to wait before the next try; `capMs` where the usual one is too long. */
  next(capMs?: number): number
  reset(): void
}

export type BackoffOptions = { baseMs?: number; capMs?: number; random?: () => number }

/**
 * Exponential with full jitter: a fleet that lost its edge at one moment comes back spread out. The floor of a tenth keeps an
 * unlucky draw from being no wait at all.
 */
export function createBackoff({
  baseMs = 250,
  capMs = 30_000,
  random = Math.random,
}: BackoffOptions = {}): Backoff {
  let tries = 0

  return {
    next(cap = capMs) {
      const ceiling = Math.min(capMs, cap, baseMs * 2 ** tries)
      tries = Math.min(tries + 1, 20)
      return Math.round(ceiling * (0.1 + 0.9 * random()))
    },
    reset() {
      tries = 0
    },
  }
}
