import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { TestContext } from 'vitest'
import { migrate } from '../../src/edge/db/migrate.ts'
import { type Db, openDb } from '../../src/edge/db/open.ts'
import type { Edge } from '../../src/local/edge.ts'
import { freePort } from '../../src/local/port.ts'
import type { Job } from '../../src/protocol/job.ts'
import { generateKey } from '../../src/runner/key/generate.ts'
import { type Spawned, spawnMain } from '../runner/spawn.ts'
import { adminToken } from '../support/edge.ts'
import { startWorkerd } from '../support/workerd.ts'
import { type Container, startContainer } from './container.ts'
import { type Gate, startGate } from './gate.ts'
import { createPart, killed, type Part } from './part.ts'
import { createTurns } from './turns.ts'

const libsqlMain = fileURLToPath(new URL('../../src/local/libsql/main.ts', import.meta.url))

/** Short, so that a test can wait for a lease to lapse. Production's are twenty times as long. */
export const pace = { leaseMs: 3_000, heartbeatMs: 1_000 } as const
/** Where somebody waits for a lease that must not lapse, while other tests keep the machine busy. */
export const easyPace = { leaseMs: 8_000, heartbeatMs: 1_000 } as const
/** A minute at production's pace. */
export const minuteMs = pace.leaseMs

export type RunnerProcess = Spawned & {
  /** Ids of the results that are in its spool and whole. */
  spooled(): string[]
}

export type RunnerOptions = {
  /** Names its directory. */
  spool?: string
  /** Names its key; another name is another runner. */
  key?: string
  /** A module that is loaded into it first. */
  preload?: string
}

export type System = {
  url: string
  db: Db
  container: Container
  database: Part
  edge: Part & {
    /** What the cron trigger does each minute in production. */
    runSchedule(): Promise<void>
  }
  /** Between runners and edge, and between edge and database. */
  gates: { edge: Gate; database: Gate }
  /** Starts a runner and waits until it is ready. */
  startRunner(options?: RunnerOptions): Promise<RunnerProcess>
  create(data: string): Promise<Response>
  /** Creates a job that must be accepted. @returns its id. */
  createJob(data: string): Promise<string>
  job(id: string): Promise<Job>
  close(): Promise<void>
}

export type SystemOptions = {
  /** Jobs that the container is given at once. */
  slots: number
  leases?: { leaseMs: number; heartbeatMs: number }
  /** Of the edge, beside those that every system has. */
  vars?: Record<string, string>
}

/** `startSystem`, all of it ended with the test. */
export async function systemOf({
  onTestFinished,
  ...options
}: SystemOptions & Pick<TestContext, 'onTestFinished'>): Promise<System> {
  const system = await startSystem(options)
  onTestFinished(system.close)
  return system
}

/** Starting is work for the processor; all stories of a file at once would be late with their first step. */
const startsAtOnce = createTurns(3)

/** The whole system, with one container `echo`, each program a process of its own. */
export async function startSystem(options: SystemOptions): Promise<System> {
  return await startsAtOnce(() => startPrograms(options))
}

async function startPrograms({ slots, leases = pace, vars = {} }: SystemOptions): Promise<System> {
  const folder = mkdtempSync(join(tmpdir(), 'infernet-flow-'))
  const [databasePort, edgePort] = await Promise.all([freePort(), freePort()])
  const databaseUrl = `http://127.0.0.1:${databasePort}`
  const url = `http://127.0.0.1:${edgePort}`
  const spawned: Spawned[] = []
  const track = (part: Spawned) => {
    spawned.push(part)
    return part
  }
  const [toEdge, toDatabase] = await Promise.all([startGate(), startGate()])
  toEdge.leadTo(url)
  toDatabase.leadTo(databaseUrl)
  let workerd: Edge | null = null

  const database = createPart(async () => {
    const args = ['--path', join(folder, 'system.db'), '--port', String(databasePort)]
    const libsql = track(spawnMain(args, {}, libsqlMain))
    await libsql.said(databaseUrl)
    return libsql
  })

  async function runWorkerd(): Promise<void> {
    workerd = await startWorkerd({
      port: edgePort,
      vars: {
        DATABASE_URL: toDatabase.url,
        ADMIN_TOKEN: adminToken,
        LEASE_SECONDS: String(leases.leaseMs / 1_000),
        HEARTBEAT_SECONDS: String(leases.heartbeatMs / 1_000),
        ...vars,
      },
      // It logs the requests that it refuses, and here many are meant to be.
      log: () => {},
    })
  }

  async function killEdge(): Promise<void> {
    const edge = workerd
    workerd = null
    if (edge === null) return
    process.kill(edge.pid, 'SIGKILL')
    await edge.close()
    toEdge.cut()
  }

  const signal = (name: NodeJS.Signals) => {
    if (workerd) process.kill(workerd.pid, name)
  }
  const keys = new Map<string, Promise<string>>()

  /** @returns the file of a key that the edge knows. */
  function keyFile(name: string): Promise<string> {
    const known = keys.get(name)
    if (known) return known
    const path = join(folder, `${name}.key`)
    const made = generateKey(path)
      .then(({ publicKey }) => enrol(url, { name, publicKey }))
      .then(() => path)
    keys.set(name, made)
    return made
  }

  async function close(): Promise<void> {
    await killEdge()
    await Promise.all(spawned.map(killed))
    toEdge.close()
    toDatabase.close()
    rmSync(folder, { recursive: true, force: true })
  }

  // All of them have started or failed before any is ended: what starts later would stay.
  const starting = [
    startContainer(track),
    runWorkerd(),
    database.start().then(() => migrate({ url: databaseUrl })),
  ] as const
  await Promise.allSettled(starting)
  const [container] = await Promise.all(starting).catch(async (error: unknown) => {
    await close()
    throw error
  })

  const create: System['create'] = data =>
    fetch(`${url}/api/jobs`, { method: 'POST', body: `{"containers":["echo"],"data":${data}}` })

  return {
    url,
    db: openDb({ url: databaseUrl }),
    container,
    database: {
      ...database,
      async kill() {
        await database.kill()
        toDatabase.cut()
      },
    },
    edge: {
      start: runWorkerd,
      kill: killEdge,
      stop: () => signal('SIGSTOP'),
      resume: () => signal('SIGCONT'),
      runSchedule: async () => await workerd?.runSchedule(),
    },
    gates: { edge: toEdge, database: toDatabase },
    async startRunner({ spool = 'spool', key = 'runner', preload } = {}) {
      const directory = join(folder, spool)
      mkdirSync(directory, { recursive: true })
      const config = join(folder, `${spool}.json`)
      const settings = {
        edge: { url: toEdge.url, audience: url, key_file: await keyFile(key) },
        manage_containers: false,
        containers: [{ id: 'echo', url: container.url, slots }],
        spool: directory,
      }
      writeFileSync(config, JSON.stringify(settings))
      const env = preload === undefined ? {} : { NODE_OPTIONS: `--import ${preload}` }
      const runner = track(spawnMain(['run', '--config', config], env))
      await runner.said('Runner is ready')
      return { ...runner, spooled: () => spooledIn(join(directory, 'batches')) }
    },
    create,
    async createJob(data) {
      const response = await create(data)
      if (!response.ok) throw new Error(`${response.status} ${await response.text()}`)
      return ((await response.json()) as { id: string }).id
    },
    async job(id) {
      const response = await fetch(`${url}/api/jobs/${id}`)
      if (!response.ok) throw new Error(`${response.status} ${await response.text()}`)
      return (await response.json()) as Job
    },
    close,
  }
}

async function enrol(url: string, { name, publicKey }: { name: string; publicKey: string }): Promise<void> {
  const response = await fetch(`${url}/admin/runners`, {
    method: 'POST',
    headers: { authorization: `Bearer ${adminToken}`, 'content-type': 'application/json' },
    body: JSON.stringify({ name, public_key: publicKey }),
  })
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`)
}

function spooledIn(batches: string): string[] {
  const lines = readdirSync(batches).flatMap(name =>
    readFileSync(join(batches, name), 'utf8').split(/(?<=\n)/),
  )
  return lines.filter(line => line.endsWith('\n')).map(line => (JSON.parse(line) as { id: string }).id)
}
