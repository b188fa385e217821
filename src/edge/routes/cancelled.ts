import type { Context } from 'hono'
import type { Context as App } from '../context.ts'
import { type Cancelled, cancel } from '../jobs/cancel.ts'
import { describe } from '../log.ts'
import { tellEnded } from './rings.ts'

/** Enough for all processes of a runner. */
const everyWaiter = 1_000

/** Cancels a job and tells whom it concerns, also when its client leaves meanwhile. @returns null when there was nothing to cancel. */
export async function cancelled(
  app: App,
  c: Context,
  job: { owner: string; id: string },
): Promise<Cancelled | null> {
  const cancelling = cancel(app.db, job)
  app.background(
    c,
    cancelling.then(
      ended => tell(app, job.id, ended),
      () => undefined,
    ),
  )
  return await cancelling
}

async function tell(app: App, id: string, ended: Cancelled | null): Promise<void> {
  if (!ended) return
  const { instance, watched } = ended
  const runner =
    instance === null
      ? undefined
      : app
          .bells('control')
          .ring({ [instance]: everyWaiter })
          .catch(error => app.log.warn('Ring lost', { error: describe(error) }))
  await Promise.all([runner, tellEnded(app, watched ? [id] : [])])
}
