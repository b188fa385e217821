import type { ChainReport } from '../../../protocol/chain.ts'

/** Keeps one chain's time. It may vanish at any moment: whoever pokes it brings it back. */
export type Ticker = {
  /** Ticks now; and again, if it is ticking already. Whoever pokes need not wait for what that leads to. */
  poke(): Promise<void>
  /** What the last tick knows; null before the first. */
  report(): Promise<ChainReport | null>
}

/** The ticker of a chain; null: this node does not serve it. */
export type Tickers = (chain: number) => Ticker | null

export type TickerOptions = {
  /** One look at the chain, and whatever that leads to. `poked`: something has changed elsewhere. @returns when to look again, in unix milliseconds. Never throws. */
  tick(options: { poked: boolean }): Promise<number>
  report(): ChainReport | null
  /** Has `due` called at a time; a later call replaces an earlier one. */
  arm(at: number): void | Promise<void>
}

/** `due`: what the alarm calls. */
export function createTicker({ tick, report, arm }: TickerOptions): Ticker & { due(): Promise<void> } {
  let running: Promise<void> | null = null
  let next: Promise<void> | null = null

  function run(poked: boolean): Promise<void> {
    running = tick({ poked })
      .then(arm)
      .finally(() => {
        running = null
      })
    return running
  }

  /** What is under way may have looked already: once more, for all who come meanwhile. */
  function runAgain(underWay: Promise<void>): Promise<void> {
    next ??= underWay
      .catch(() => undefined)
      .then(() => {
        next = null
        return run(true)
      })
    return next
  }

  return {
    due: () => running ?? next ?? run(false),
    // One that waits has not looked yet.
    poke: () => next ?? (running === null ? run(true) : runAgain(running)),
    report: async () => report(),
  }
}
