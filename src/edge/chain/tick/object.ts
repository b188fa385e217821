import { DurableObject } from 'cloudflare:workers'
import { createTick } from './tick.ts'
import { createTicker, type Ticker as TickerApi } from './ticker.ts'
import type { TickWiring } from './wiring.ts'

/**
 * The ticker of one chain on Workers: a class for a host's wiring. Its alarm is the only thing that it stores; what a tick remembers may be
 * lost at any moment, and is read again.
 */
export function tickerClass<Env>(wire: (env: Env) => TickWiring) {
  return class extends DurableObject<Env> {
    #ticker: (TickerApi & { due(): Promise<void> }) | null = null

    override async fetch(request: Request): Promise<Response> {
      const { pathname, searchParams } = new URL(request.url)
      const ticker = await this.#tickerOf(Number(searchParams.get('chain')))
      if (ticker === null) return new Response(null, { status: 404 })
      if (pathname === '/report') return Response.json(await ticker.report())
      // Who pokes does not wait for what that leads to.
      this.ctx.waitUntil(ticker.poke())
      return new Response(null, { status: 204 })
    }

    override async alarm(): Promise<void> {
      const ticker = await this.#tickerOf(null)
      await ticker?.due()
    }

    /** An alarm does not say of which chain it is: the first poke stores it. */
    async #tickerOf(chain: number | null): Promise<(TickerApi & { due(): Promise<void> }) | null> {
      if (this.#ticker) return this.#ticker
      const known = chain ?? (await this.ctx.storage.get<number>('chain')) ?? 0
      const options = wire(this.env)(known)
      if (options === null) return null
      if (chain !== null) await this.ctx.storage.put('chain', chain)
      const { tick, report } = createTick(options)
      // On Cloudflare one that is set for this moment by an alarm may come tens of seconds later (workerd's issue 6866).
      const arm = (at: number) => this.ctx.storage.setAlarm(Math.max(at, Date.now() + 1))
      this.#ticker ??= createTicker({ tick, report, arm })
      return this.#ticker
    }
  }
}
