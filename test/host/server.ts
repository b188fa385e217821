import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import { freePort } from '../../src/local/port.ts'
import { type Spawned, spawnMain } from '../runner/spawn.ts'
import { adminToken } from '../support/edge.ts'

/** `npm run serve` as its operator runs it: a process, and a database file beside it. */

export const root = fileURLToPath(new URL('../../', import.meta.url))
export const main = join(root, 'src/host/main.ts')

export type Server = Spawned & { url: string; port: number; database: string; restart(): Promise<Spawned> }

export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'infernet-serve-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

export function start(host: string, args: string[], env: Record<string, string>): Spawned {
  const spawned = spawnMain(['--host', host, ...args], env, main)
  onTestFinished(async () => {
    spawned.child.kill('SIGKILL')
    await spawned.exited
  })
  return spawned
}

/** A host that listens, over a new database file. `more`: arguments. */
export async function startServer(
  host: string,
  env: Record<string, string> = {},
  more: string[] = [],
): Promise<Server> {
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const database = join(temporaryFolder(), 'edge.db')
  const settings = { ORIGIN: url, DATABASE_URL: `file:${database}`, ADMIN_TOKEN: adminToken, ...env }
  const run = async (...args: string[]) => {
    const spawned = start(host, ['--port', String(port), ...more, ...args], settings)
    await spawned.said('Edge listens')
    return spawned
  }
  return { ...(await run('--migrate')), url, port, database, restart: () => run() }
}
