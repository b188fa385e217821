import type { Hono } from 'hono'
import { createApp, onSchedule } from './app.ts'
import { Bell } from './bell/object.ts'
import { createRemoteBells } from './bell/remote.ts'
import { tickerClass } from './chain/tick/object.ts'
import { createRemoteTickers } from './chain/tick/remote.ts'
import { tickOptionsOf } from './chain/tick/wiring.ts'
import { parseConfig } from './config.ts'
import type { Context } from './context.ts'
import { openDb } from './db/open.ts'
import { consoleLog } from './log.ts'
import { clientAddress } from './runners/address.ts'
import { createPolicyCache } from './runners/policy.ts'
import { Relay } from './stream/object.ts'
import { createRemoteRelays } from './stream/remote.ts'

/** Named like its class in `wrangler.toml`. */
const Ticker = tickerClass((env: Env) => chain => tickOptionsOf(wire(env).context, chain))

export { Bell, Relay, Ticker }

type Env = {
  BELL: DurableObjectNamespace<Bell>
  RELAY: DurableObjectNamespace
  TICKER: DurableObjectNamespace
} & Record<string, unknown>

let wired: { context: Context; app: Hono } | undefined

/** Wires an isolate once: bindings do not change during its life. */
function wire(env: Env): { context: Context; app: Hono } {
  wired ??= wireAnew(env)
  return wired
}

function wireAnew(env: Env): { context: Context; app: Hono } {
  const config = parseConfig(env)
  const db = openDb({ url: config.DATABASE_URL, token: config.DATABASE_TOKEN })
  const now = () => Date.now()
  const context: Context = {
    config,
    db,
    now,
    bells: createRemoteBells(env.BELL),
    relays: createRemoteRelays(env.RELAY),
    tickers: createRemoteTickers(
      env.TICKER,
      config.chains.map(chain => chain.config.id),
    ),
    policy: createPolicyCache({ db, now }),
    log: consoleLog,
    peer: c => ({ address: clientAddress(senderOf(c.req.raw, config.CLIENT_IP_HEADER)), loopback: false }),
    background: (c, work) => c.executionCtx.waitUntil(work),
  }
  return { context, app: createApp(context) }
}

/**
 * Where a request comes from: the header that the platform sets. On a bare workerd (`socket`, or nobody in front who would set the
 * header) the connection itself.
 */
function senderOf(request: Request, header: string): string | undefined {
  const told = header === 'socket' ? null : request.headers.get(header)
  if (told !== null) return told
  const { clientIp } = (request.cf ?? {}) as { clientIp?: string }
  return clientIp?.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1')
}

export default {
  async fetch(request, env, execution) {
    return await wire(env).app.fetch(request, env, execution)
  },
  async scheduled(_controller, env, execution) {
    execution.waitUntil(onSchedule(wire(env).context))
  },
} satisfies ExportedHandler<Env>
