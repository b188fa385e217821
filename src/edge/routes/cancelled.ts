import type { Context } from 'hono'
import { ringCancelled } from '../bell/cancelled.ts'
import type { Context as App } from '../context.ts'
import { type Cancelled, cancel } from '../jobs/cancel.ts'
import { describe } from '../log.ts'

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

async function tell({ bells, log }: App, id: string, ended: Cancelled | null): Promise<void> {
  if (!ended) return
  await ringCancelled(bells, { id, ...ended }, error => log.warn('Ring lost', { error: describe(error) }))
}
