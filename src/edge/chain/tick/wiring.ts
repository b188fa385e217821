import { queueBoundsOf } from '../../config.ts'
import type { Context } from '../../context.ts'
import { createRpcPool } from '../pool.ts'
import { createSigner } from '../signer.ts'
import type { TickOptions } from './tick.ts'

/** What the ticker of a chain needs, out of everything that a host has wired; null: the node does not serve this chain. */
export function tickOptionsOf(context: TickContext, chain: number): TickOptions | null {
  const settings = context.config.chains.find(({ config }) => config.id === chain)
  if (!settings) return null
  const { config, db, policy, bells, log, now } = context
  return {
    db,
    policy,
    bells,
    log,
    now,
    chain: {
      config: settings.config,
      rpc: createRpcPool({ urls: settings.urls, chainId: chain, now }),
      signer: createSigner(settings.privateKey),
    },
    jobs: {
      bounds: queueBoundsOf(config),
      expiryMs: config.QUEUE_EXPIRY_SECONDS * 1000,
    },
    retentionMs: config.RETENTION_SECONDS * 1000,
    ledgerDays: config.LEDGER_RETENTION_DAYS,
  }
}

/** What a host gives the ticker of a chain; null: it does not serve that chain. */
export type TickWiring = (chain: number) => TickOptions | null

/** Tickers do not need each other. */
export type TickContext = Omit<Context, 'tickers' | 'relays' | 'peer' | 'background'>
