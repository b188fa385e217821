import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Outcome } from './pair.ts'
import { steps } from './steps.ts'
import { type Blow, play } from './story.ts'
import { pace } from './system.ts'
import { openTheatre, type Program, type Theatre } from './theatre.ts'

/**
 * Every program suffers every blow at every step of a job. What a job costs then is in the table below: whatever it does not name
 * ends with the right result, of one lease, one try and one call of the container.
 */
const right: Outcome = { result: 'right', attempt: 1, tries: 1, calls: 1 }
type Ending = { small: Outcome; large: Outcome }

const both = (outcome: Partial<Outcome>): Ending => ({
  small: { ...right, ...outcome },
  large: { ...right, ...outcome },
})

/** A dead container's calls have failed: that is their result. */
const failed = { result: 'connection_lost' }
const exceptions: Record<string, Ending> = {
  // The claim's answer died with the edge: the jobs are given again, and the lease that nobody heard of is no try.
  'edge dies, claimed': both({ attempt: 2 }),
  // Leases belong to a process. Those of the dead one lapse.
  'runner dies, claimed': both({ attempt: 2 }),
  'runner dies, input read': {
    small: { ...right, attempt: 2, tries: 2, calls: 2 },
    large: { ...right, attempt: 2, tries: 2 },
  },
  'runner dies, container called': both({ attempt: 2, tries: 2, calls: 2 }),
  'runner dies, container half way': both({ attempt: 2, tries: 2, calls: 2 }),
  'container dies, input read': { small: { ...right, ...failed }, large: { ...right, ...failed, calls: 0 } },
  'container dies, container called': both(failed),
  'container dies, container half way': both(failed),
}

const programs: readonly Program[] = ['edge', 'database', 'runner', 'container']
const blows: readonly Blow[] = ['killed', 'stopped', 'stopped and killed']
const groups = programs.flatMap(program => blows.map(blow => ({ program, blow })))

// Groups side by side, each with a system of its own on which its stories follow one another.
describe.concurrent.each(groups)('the $program is $blow', { timeout: 120_000 }, ({ program, blow }) => {
  let theatre: Theatre
  const times: string[] = []
  beforeAll(async () => {
    theatre = await openTheatre()
  }, 120_000)
  afterAll(async () => {
    await theatre.system.close()
    console.log(
      `The ${program} is ${blow}, a lease being ${pace.leaseMs / 1000} s; both jobs had ended after`,
    )
    console.log(`  ${times.join(', ')}`)
  })

  test.sequential.each([
    { name: 'created', step: 'created' as const },
    ...steps.map(step => ({ name: step.name, step })),
  ])('at the step: $name', async ({ name, step }) => {
    const { recoveryMs, ...ending } = await play(theatre, { program, blow, step })
    times.push(`${name} ${(recoveryMs / 1000).toFixed(1)} s`)
    const dies = blow === 'stopped' ? 'stands still' : 'dies'
    expect(ending).toEqual(exceptions[`${program} ${dies}, ${name}`] ?? both({}))
  })
})
