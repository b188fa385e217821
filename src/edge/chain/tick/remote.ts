import type { ChainReport } from '../../../protocol/chain.ts'
import type { Tickers } from './ticker.ts'

/** Tickers that live in Durable Objects, one for each chain. */
export function createRemoteTickers(namespace: DurableObjectNamespace, chains: readonly number[]): Tickers {
  return chain => {
    if (!chains.includes(chain)) return null
    const ask = async (path: string) => {
      const response = await namespace
        .get(namespace.idFromName(String(chain)))
        .fetch(`http://ticker${path}?chain=${chain}`, { method: 'POST' })
      if (!response.ok) throw new Error(`The ticker answered ${response.status}`)
      return response
    }
    return {
      poke: async () => void (await ask('/poke')),
      report: async () => await (await ask('/report')).json<ChainReport | null>(),
    }
  }
}
