import { type ChainTick, createTick, type TickOptions } from './tick.ts'
import { createTicker, type Ticker, type Tickers } from './ticker.ts'

export type LocalTickers = {
  tickers: Tickers
  /** Resolves when what is under way has ended. */
  stop(): Promise<void>
}

/** Tickers in this process, by timers, for hosts without Durable Objects. They begin when they are poked. */
export function createTickers(chains: readonly TickOptions[]): LocalTickers {
  const stopping = new AbortController()
  const made = new Map(
    chains.map(options => [
      options.chain.config.id,
      start(createTick(options), options.now, stopping.signal),
    ]),
  )
  return {
    tickers: chain => made.get(chain) ?? null,
    async stop() {
      stopping.abort()
      await Promise.all([...made.values()].map(ticker => ticker.idle()))
    },
  }
}

function start(
  { tick, report }: ChainTick,
  now: () => number,
  stopping: AbortSignal,
): Ticker & { idle(): Promise<void> } {
  let timer: ReturnType<typeof setTimeout> | undefined
  const underWay = new Set<Promise<void>>()
  const keep = (work: Promise<void>) => {
    // A tick does not throw, and neither does a timer.
    const kept = work.finally(() => underWay.delete(kept))
    underWay.add(kept)
  }
  const ticker = createTicker({
    tick,
    report,
    arm(at) {
      clearTimeout(timer)
      if (!stopping.aborted) timer = setTimeout(() => keep(ticker.due()), Math.max(0, at - now()))
    },
  })
  stopping.addEventListener('abort', () => clearTimeout(timer))
  return {
    poke: async () => {
      if (!stopping.aborted) keep(ticker.poke())
    },
    report: ticker.report,
    idle: async () => void (await Promise.all(underWay)),
  }
}
