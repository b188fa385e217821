import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { startChild } from './child.ts'
import { freePort } from './port.ts'
import { bundle } from './workerd/bundle.ts'
import { workerdConfig } from './workerd/config.ts'
import { readSettings } from './workerd/settings.ts'

// The package is CommonJS without types; what it exports by default is the path of its binary.
const { default: workerd } = createRequire(import.meta.url)('workerd') as { default: string }

const root = fileURLToPath(new URL('../../', import.meta.url))
/** For requests under way. workerd itself would wait for the last long poll, whose runner may be gone: 24 s measured. */
const closeMs = 2_000

export type EdgeOptions = {
  host?: string
  /** 0: any free port. */
  port?: number
  /** Vars and secrets; those of `wrangler.toml` otherwise. `ORIGIN` is the edge's own URL unless given. */
  vars: Record<string, string>
  /** The edge as one module, as `bundleEdge` makes it; absent: it is made at the start. */
  module?: string
  /** Loopback port of workerd's inspector (Chrome's DevTools protocol); absent: none. */
  inspectorPort?: number
  /** What the edge logs, line by line. */
  log?: (line: string) => void
}

export type Edge = {
  url: string
  pid: number
  /** What the cron trigger does each minute in production. */
  runSchedule(): Promise<void>
  close(): Promise<void>
}

/** Writes the edge as one module, as a deployment has it. */
export async function bundleEdge(outfile: string): Promise<void> {
  const { main, alias } = readSettings(`${root}wrangler.toml`)
  await bundle({ root, main, alias, outfile })
}

/**
 * The edge on workerd, the runtime of Cloudflare Workers, bundled and configured from `wrangler.toml` as a deployment is. A client
 * is known by its socket, since no platform stands in front that would set a header.
 */
export async function startEdge({
  host = '127.0.0.1',
  port = 0,
  vars,
  module,
  inspectorPort,
  log = console.log,
}: EdgeOptions): Promise<Edge> {
  const settings = readSettings(`${root}wrangler.toml`)
  const listen = port === 0 ? await freePort(host) : port
  const schedulePort = await freePort()
  const url = `http://${host}:${listen}`
  const folder = mkdtempSync(join(tmpdir(), 'infernet-edge-'))
  const outfile = join(folder, 'edge.js')
  if (module === undefined) await bundleEdge(outfile)
  else copyFileSync(module, outfile)
  const config = workerdConfig({
    host,
    port: listen,
    schedulePort,
    module: 'edge.js',
    compatibilityDate: settings.compatibility_date,
    compatibilityFlags: settings.compatibility_flags,
    vars: { ...settings.vars, ORIGIN: url, CLIENT_IP_HEADER: 'socket', ...vars },
    durableObjects: settings.durable_objects.bindings.map(({ name, class_name }) => ({
      binding: name,
      className: class_name,
    })),
  })
  // The configuration holds secrets.
  writeFileSync(join(folder, 'edge.capnp'), config, { mode: 0o600 })

  // Extra handlers let one worker run another's cron trigger; workerd counts them as experimental.
  const child = startChild({
    command: workerd,
    args: [
      'serve',
      '--experimental',
      '--control-fd=3',
      ...inspector(inspectorPort),
      join(folder, 'edge.capnp'),
    ],
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    // It keeps nothing, and its port is wanted by the next start.
    orphanGraceSeconds: 0,
  })
  const { stdout, stderr, stdio, pid } = child.process
  for (const stream of [stdout, stderr]) if (stream) createInterface(stream).on('line', log)
  const ended = child.ended.finally(() => rmSync(folder, { recursive: true, force: true }))
  await Promise.race([
    untilListening(stdio[3], 2),
    ended.then(({ code }) => Promise.reject(new Error(`workerd ended with code ${code}`))),
  ])

  return {
    url,
    pid: pid ?? 0,
    async runSchedule() {
      const response = await fetch(`http://127.0.0.1:${schedulePort}`)
      if (!response.ok) throw new Error(`The cron trigger failed: ${await response.text()}`)
    },
    async close() {
      await child.close(closeMs)
      await ended
    },
  }
}

function inspector(port: number | undefined): string[] {
  return port === undefined ? [] : [`--inspector-addr=127.0.0.1:${port}`]
}

/** Until workerd has said of so many sockets that it listens on them. */
async function untilListening(control: unknown, sockets: number): Promise<void> {
  let listening = 0
  for await (const line of createInterface(control as NodeJS.ReadableStream)) {
    if (line.includes('"listen"')) listening += 1
    if (listening === sockets) return
  }
  throw new Error('workerd ended before it listened')
}
