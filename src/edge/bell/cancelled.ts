import type { Bells } from './bell.ts'
import { ringEnded } from './ended.ts'

/** Enough for all processes of a runner. */
const everyWaiter = 1_000

/** `instance`: the process that works on it, or may still; null: nobody does. */
export type Ended = { instance: string | null; watched: boolean }

/** Tells the runner of a job that was cancelled, and the clients that wait for its end. What is lost is told: it costs latency only. */
export async function ringCancelled(
  bells: Bells,
  { id, instance, watched }: Ended & { id: string },
  lost: (error: unknown) => void,
): Promise<void> {
  const runner = instance === null ? undefined : bells('control').ring({ [instance]: everyWaiter })
  const clients = watched ? ringEnded(bells, [id]) : undefined
  await Promise.all([runner?.catch(lost), clients?.catch(lost)])
}
