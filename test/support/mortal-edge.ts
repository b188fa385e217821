import { createApp } from '../../src/edge/app.ts'
import { createBells } from '../../src/edge/bell/bell.ts'
import { parseConfig, relayOptionsOf } from '../../src/edge/config.ts'
import type { Db } from '../../src/edge/db/open.ts'
import { createPolicyCache } from '../../src/edge/runners/policy.ts'
import { createBackground } from '../../src/host/background.ts'
import { listenOnNode } from '../../src/host/node.ts'
import { openDb } from '../../src/host/open.ts'
import { freePort } from '../../src/local/port.ts'
import { adminToken, startDatabase, type TestEdge } from './edge.ts'
import { createMortalRelays, type MortalRelays } from './mortal-relays.ts'
import { policyOf, startTestRunner, type TestRunner } from './runner.ts'
import { type SqlProxy, startSqlProxy } from './sql-proxy.ts'
import { createStreams, type Streams } from './streams.ts'

/** An edge of this process, whose relays can die alone, and whose database can be held up. */
export type MortalEdge = {
  app: ReturnType<typeof createApp>
  mortal: MortalRelays
  proxy: SqlProxy
  /** The database, past the proxy. */
  db: Db
  runner: TestRunner
  streams: Omit<Streams, typeof Symbol.asyncDispose>
  [Symbol.asyncDispose](): Promise<void>
}

/** `returnMs`: see `RelayOptions`. */
export async function startMortalEdge({ returnMs }: { returnMs: number }): Promise<MortalEdge> {
  const database = await startDatabase()
  const proxy = await startSqlProxy(database.url)
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const config = parseConfig({ DATABASE_URL: proxy.url, ADMIN_TOKEN: adminToken, ORIGIN: url })
  const db = await openDb({ url: proxy.url })
  const direct = await openDb({ url: database.url })
  const log = { info() {}, warn() {}, error() {} }
  const background = createBackground(log)
  const bells = createBells()
  const now = () => Date.now()
  const mortal = createMortalRelays({ db, bells, ...relayOptionsOf(config), returnMs })
  const app = createApp({
    config,
    db,
    bells,
    tickers: () => null,
    relays: mortal.relays,
    now,
    policy: createPolicyCache({ db, now }),
    log,
    peer: () => ({ address: '127.0.0.1', loopback: true }),
    background: (_c, work) => background.run(work),
  })
  const listener = await listenOnNode({
    hostname: '127.0.0.1',
    port,
    handle: (request, connection) => app.fetch(request, connection),
  })
  const edge = {
    url,
    request: async (path: string, init?: RequestInit) => await fetch(new URL(path, url), init),
  } as TestEdge
  const runner = await startTestRunner(edge, [policyOf('echo'), policyOf('chat', { openai: true })])
  return {
    app,
    mortal,
    proxy,
    db: direct,
    runner,
    streams: createStreams(edge, runner),
    async [Symbol.asyncDispose]() {
      listener.destroy()
      await proxy.close()
      db.close()
      direct.close()
      await database.close()
    },
  }
}
