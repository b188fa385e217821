import { setImmediate } from 'node:timers/promises'
import { Died, type Gate } from './mortal.ts'

/** Where a process dies: at which step from 0, and whether that step still happens. null: it lives. */
export type Death = { step: number; when: 'before' | 'after' } | null

/**
 * Runs processes side by side, one step of one of them at a time. `order`: who goes next, as places among those that wait; used again from
 * the start when it is at its end. A process that dies just ends.
 */
export async function takeTurns(
  processes: readonly { run(gate: Gate): Promise<unknown>; death: Death }[],
  order: readonly number[],
): Promise<void> {
  const waiting: (() => Promise<void>)[] = []
  let ended = 0
  let problem: unknown = null
  const all = processes.map(async ({ run, death }) => {
    let count = 0
    let isDead = false
    const gate: Gate = (_, step) =>
      new Promise((resolve, reject) => {
        waiting.push(async () => {
          if (isDead) return reject(new Died())
          const isLast = count++ === death?.step
          isDead = isLast
          if (isLast && death?.when === 'before') return reject(new Died())
          await step().then(isLast ? () => reject(new Died()) : resolve, reject)
        })
      })
    try {
      await run(gate)
    } catch (error) {
      if (!(error instanceof Died)) problem = error
    }
    ended += 1
  })
  for (let turn = 0; ended < processes.length; turn++) {
    // Whoever can go on by itself does.
    await setImmediate()
    const place = (order[turn % order.length] ?? 0) % Math.max(1, waiting.length)
    const [next] = waiting.splice(place, 1)
    await next?.()
  }
  // Steps that were begun beside the one at which their process died.
  for (const rest of waiting) await rest()
  await Promise.all(all)
  if (problem) throw problem
}
