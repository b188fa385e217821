import type { Hono } from 'hono'
import { createApp, onSchedule } from '../edge/app.ts'
import { createBells } from '../edge/bell/bell.ts'
import { createTickers } from '../edge/chain/tick/tickers.ts'
import { tickOptionsOf } from '../edge/chain/tick/wiring.ts'
import { type Config, relayOptionsOf } from '../edge/config.ts'
import type { Context } from '../edge/context.ts'
import type { Db } from '../edge/db/open.ts'
import type { Log } from '../edge/log.ts'
import { createPolicyCache } from '../edge/runners/policy.ts'
import { createRelays } from '../edge/stream/relays.ts'
import { createBackground } from './background.ts'
import { type Handler, type Listen, urlOf } from './listen.ts'
import { createPeer } from './peer.ts'
import { startSchedule } from './schedule.ts'

export type HostOptions = {
  config: Config
  db: Db
  listen: Listen
  hostname: string
  port: number
  log: Log
  /** How often what the cron trigger does is done. */
  scheduleMs?: number
  /** What everything in hand has to end in when the host closes. */
  graceMs?: number
}

/** The edge in this process. */
export type Host = {
  url: string
  /** What the schedule does at its time. */
  runSchedule(): Promise<void>
  /** Accepts nothing more, ends what waits, finishes what is in hand if that is soon done. The database stays open. */
  close(): Promise<void>
}

/** As often as the cron trigger fires on Workers. */
const cronMs = 60_000
/** Less than the 10 s that supervisors commonly wait before they kill. */
const closeMs = 8_000
/** What is left of it for the work of requests whose connection is broken off. */
const brokenOffMs = 500

/** Serves the edge from one process: bells in its memory, a timer in place of the cron trigger. */
export async function startHost({
  config,
  db,
  listen,
  hostname,
  port,
  log,
  scheduleMs = cronMs,
  graceMs = closeMs,
}: HostOptions): Promise<Host> {
  const now = () => Date.now()
  const background = createBackground(log)
  const closing = new AbortController()
  const bells = createBells()
  const policy = createPolicyCache({ db, now })
  const ticking = { config, db, now, bells, policy, log }
  const { tickers, stop: stopTickers } = createTickers(
    config.chains.flatMap(chain => tickOptionsOf(ticking, chain.config.id) ?? []),
  )
  const context: Context = {
    ...ticking,
    tickers,
    relays: createRelays({ db, bells, ...relayOptionsOf(config), closing: closing.signal }),
    peer: createPeer(config, log),
    background: (_c, work) => background.run(work),
    closing: closing.signal,
  }
  const listener = await listen({ hostname, port, handle: createHandler(createApp(context), closing.signal) })
  const runSchedule = () => onSchedule(context, closing.signal)
  // Chains are looked at from now on, and not from the schedule's first time.
  for (const chain of config.chains) background.run(tickers(chain.config.id)?.poke() ?? Promise.resolve())
  const schedule = startSchedule({ everyMs: scheduleMs, work: runSchedule, log })

  return {
    url: urlOf({ hostname, port: listener.port }),
    runSchedule,
    async close() {
      const stopped = Promise.all([listener.drain(), schedule.stop(), stopTickers()])
      const settled = stopped.then(() => background.settled())
      closing.abort()
      if (await endsWithin(graceMs - brokenOffMs, settled)) return
      listener.destroy()
      if (await endsWithin(brokenOffMs, settled)) return
      log.warn('Not all that was in hand has ended', { within_ms: graceMs })
    },
  }
}

async function endsWithin(ms: number, work: Promise<void>): Promise<boolean> {
  const { promise: late, resolve } = Promise.withResolvers<false>()
  const timer = setTimeout(resolve, ms, false)
  const inTime = await Promise.race([work.then(() => true), late])
  clearTimeout(timer)
  return inTime
}

function createHandler(app: Hono, closing: AbortSignal): Handler {
  return (request, connection) => app.fetch(endedBy(closing, request), connection)
}

/**
 * A request whose signal also says that the host closes: what waits for its client's sake ends then, as it does when the client
 * leaves. An own property, made when it is asked for, because a copy of the request would cost more than many a handler.
 */
function endedBy(closing: AbortSignal, request: Request): Request {
  let signal: AbortSignal | undefined
  return Object.defineProperty(request, 'signal', {
    get() {
      const left: AbortSignal = Reflect.get(Object.getPrototypeOf(request), 'signal', request)
      signal ??= AbortSignal.any([left, closing])
      return signal
    },
  })
}
