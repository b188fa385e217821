import { ringEnded } from '../bell/ended.ts'
import { chainOf } from '../chain/owner.ts'
import type { Context as App } from '../context.ts'
import type { Lapsed } from '../jobs/claim.ts'
import { outcomeOf } from '../jobs/sweep.ts'
import { describe } from '../log.ts'

/** Wakes who waits for the ends of these jobs. A lost ring costs latency only. */
export async function tellEnded({ bells, log }: App, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return
  await ringEnded(bells, ids).catch(error => log.warn('Ring lost', { error: describe(error) }))
}

/** Wakes runners for jobs that are back in the queue, and clients for those that were given up. */
export async function tellLapsed(app: App, lapsed: readonly Lapsed[]): Promise<void> {
  const { requeued, watched } = outcomeOf(lapsed)
  await Promise.all([tellRequeued(app, requeued), tellEnded(app, watched)])
}

/** Wakes runners. */
export async function tellRequeued({ bells, log }: App, requeued: Record<string, number>): Promise<void> {
  if (Object.keys(requeued).length === 0) return
  await bells('claims')
    .ring(requeued)
    .catch(error => log.warn('Ring lost', { error: describe(error) }))
}

/** Has the chains of these owners looked after at once. One that does not hear of it looks at its next block. */
export async function tellChains(app: App, owners: readonly string[]): Promise<void> {
  await pokeChains(
    app,
    owners.map(chainOf).filter(chain => chain !== null),
  )
}

/** Has every chain looked after at once, whatever has changed. */
export async function tellEveryChain(app: App): Promise<void> {
  await pokeChains(
    app,
    app.config.chains.map(({ config }) => config.id),
  )
}

/** Has these chains looked after at once. */
export async function pokeChains({ tickers, log }: App, chains: readonly number[]): Promise<void> {
  await Promise.all(
    chains.map(chain =>
      tickers(chain)
        ?.poke()
        .catch(error => log.warn('Ticker not reached', { chain, error: describe(error) })),
    ),
  )
}
