import { consoleLog } from '../../src/edge/log.ts'
import { listenOnDeno } from '../../src/host/deno.ts'
import { startHost } from '../../src/host/host.ts'
import { openDb } from '../../src/host/open.ts'
import { readSettings } from '../../src/host/settings.ts'

/** The edge on Deno for tests. Prints its URL and that of another port, where each request does what the schedule does. */
const [port] = process.argv.slice(2)
const hostname = '127.0.0.1'
const config = readSettings(process.env)
const db = await openDb({ url: config.DATABASE_URL, token: config.DATABASE_TOKEN })
const edge = await startHost({
  config,
  db,
  listen: listenOnDeno,
  hostname,
  port: Number(port),
  log: consoleLog,
})
const schedule = await listenOnDeno({
  hostname,
  port: 0,
  async handle() {
    await edge.runSchedule()
    return new Response('done')
  },
})
console.log(`listens: ${edge.url} http://${hostname}:${schedule.port}`)
process.on('SIGTERM', async () => {
  await edge.close()
  process.exit(0)
})
