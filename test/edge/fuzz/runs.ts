import type { Parameters } from 'fast-check'

/** How much longer than usual to look: `FUZZ_SCALE=20 npm test -- edge/fuzz`. */
const scale = Number(process.env.FUZZ_SCALE ?? 1)
const seed = process.env.FUZZ_SEED

/** So many runs as usual. A failure prints its seed: `FUZZ_SEED=N` repeats it. */
export function runs(usual: number): Parameters<unknown> {
  return {
    numRuns: Math.max(1, Math.ceil(usual * scale)),
    ...(seed === undefined ? {} : { seed: Number(seed) }),
  }
}

/** For a test that usually takes seconds. */
export const timeout = 30_000 + 60_000 * scale
