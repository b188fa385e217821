import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { consoleLog } from '../../src/edge/log.ts'
import { denoArgs, denoProgram } from '../../src/host/deno-command.ts'
import { startHost } from '../../src/host/host.ts'
import { listenOnNode } from '../../src/host/node.ts'
import { openDb } from '../../src/host/open.ts'
import { readSettings } from '../../src/host/settings.ts'
import { startChild } from '../../src/local/child.ts'
import { freePort } from '../../src/local/port.ts'
import { startWorkerd } from './workerd.ts'

/** What a test needs of an edge that it has started, whatever it runs on. */
export type RunningEdge = {
  url: string
  /** Of the process that it runs in. */
  pid: number
  runSchedule(): Promise<void>
  close(): Promise<void>
}

export type HostName = 'workerd' | 'node' | 'deno'

/** What this run's edges run on: the files of `test/edge` that start one run once for each. */
export const host = (process.env.EDGE_HOST ?? 'workerd') as HostName

export const startEdgeOn: Record<HostName, (vars: Record<string, string>) => Promise<RunningEdge>> = {
  workerd: vars => startWorkerd({ vars }),

  /** In this process. */
  async node(vars) {
    const port = await freePort()
    const config = readSettings({ ORIGIN: `http://127.0.0.1:${port}`, ...vars })
    const db = await openDb({ url: config.DATABASE_URL, token: config.DATABASE_TOKEN })
    const edge = await startHost({
      config,
      db,
      listen: listenOnNode,
      hostname: '127.0.0.1',
      port,
      log: consoleLog,
    })
    return {
      ...edge,
      pid: process.pid,
      async close() {
        await edge.close()
        db.close()
      },
    }
  },

  /** A process of its own, with the permissions that the edge gets; it ends with this one. */
  async deno(vars) {
    const port = await freePort()
    const script = fileURLToPath(new URL('deno-edge.ts', import.meta.url))
    // Port 0 permits every port of this machine's, for the one that runs the schedule.
    const options = { hostname: '127.0.0.1', port: 0 }
    const env = { ORIGIN: `http://127.0.0.1:${port}`, ...vars }
    const config = readSettings(env)
    const child = startChild({
      command: denoProgram(),
      args: [...denoArgs({ options, config, script }), String(port)],
      env,
      stdio: ['ignore', 'pipe', 'inherit'],
      orphanGraceSeconds: 0,
    })
    const [url, schedule] = await new Promise<string[]>((resolve, reject) => {
      void child.ended.then(({ code }) => reject(new Error(`Deno ended with code ${code}`)))
      if (!child.process.stdout) return
      createInterface(child.process.stdout).on('line', line => {
        if (line.startsWith('listens: ')) resolve(line.split(' ').slice(1))
        else console.log(line)
      })
    })
    if (!url || !schedule) throw new Error('Deno does not say where it listens')
    return {
      url,
      pid: child.process.pid ?? 0,
      async runSchedule() {
        const response = await fetch(schedule)
        if (!response.ok) throw new Error(`The schedule failed: ${await response.text()}`)
      },
      close: () => child.close(5_000),
    }
  },
}
