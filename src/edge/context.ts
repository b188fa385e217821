import type { Context as HonoContext } from 'hono'
import type { Bells } from './bell/bell.ts'
import type { Tickers } from './chain/tick/ticker.ts'
import type { Config } from './config.ts'
import type { Db } from './db/open.ts'
import type { Log } from './log.ts'
import type { PolicyCache } from './runners/policy.ts'
import type { Relays } from './stream/relay.ts'

/** What a host tells of a request's sender. `address` is null where the platform does not say. */
export type Peer = { address: string | null; loopback: boolean }

/** Everything the app needs from outside, wired once per isolate or process. */
export type Context = {
  config: Config
  db: Db
  bells: Bells
  relays: Relays
  /** Of the chains that are configured. */
  tickers: Tickers
  policy: PolicyCache
  log: Log
  /** Unix milliseconds of this machine: for tokens and caches. Leases and expiries go by the database's clock. */
  now(): number
  peer(c: HonoContext): Peer
  /** Lets work go on when the client leaves. Called before the first await: past it a Worker's handler may never run. */
  background(c: HonoContext, work: Promise<unknown>): void
  /** Aborts when the host closes, and requests' own signals with it: their clients are still there. Workers do not tell. */
  closing?: AbortSignal
}
