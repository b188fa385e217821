import { describe, expect, test } from 'vitest'
import { reachable } from './docker.ts'
import { soak } from './soak/soak.ts'

/** A minute of what `npm run soak` does for ten. `SOAK_SEED=N` has other jobs and blows. */
const seed = Number(process.env.SOAK_SEED ?? 7)

describe.skipIf(!reachable)('soak', { timeout: 300_000 }, () => {
  test('a runner, its containers and its connection are struck again and again: no job is lost or done twice, and nothing is left', async () => {
    console.log(`SOAK_SEED=${seed}`)
    const { faults, figures } = await soak({
      seed,
      loadMs: 60_000,
      containerEveryMs: [1_000, 4_000],
      runnerEveryMs: [2_000, 5_000],
    })
    console.log(
      Object.entries(figures)
        .map(([name, value]) => `${name} ${Math.round(value)}`)
        .join(', '),
    )
    expect(faults).toEqual([])
    // There was something to survive.
    expect(figures['answer: success']).toBeGreaterThan(0)
    expect(figures['stream: success']).toBeGreaterThan(0)
    expect(figures['runner killed']).toBeGreaterThan(0)
    expect(figures['edge cut off']).toBeGreaterThan(0)
  })
})
