import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { TestContext } from 'vitest'
import { migrate } from '../../src/edge/db/migrate.ts'
import { type Db, openDb } from '../../src/edge/db/open.ts'
import { type Edge, startEdge } from '../../src/local/edge.ts'
import type { Job } from '../../src/protocol/job.ts'
import { generateKey } from '../../src/runner/key/generate.ts'
import { type Spawned, spawnMain } from '../runner/setup.ts'
import { adminToken } from '../support/edge.ts'
import { type CountingContainer, startCountingContainer } from './container.ts'
import { fixedPort } from './fixed-port.ts'

const libsqlMain = fileURLToPath(new URL('../../src/local/libsql/main.ts', import.meta.url))

/** Short, so that a test can wait for a lease to lapse. */
const pace = { LEASE_SECONDS: '3', HEARTBEAT_SECONDS: '1' }

export type RunnerProcess = Spawned & {
  /** Ids of the results that are in its spool and whole. */
  spooled(): string[]
}

/** A part of the system that is one process, and can be killed as a host's crash would. */
export type Part = {
  /** Resolves when the process is gone. */
  kill(): Promise<void>
  /** On the same port, and for the database on the same file. */
  start(): Promise<void>
}

export type System = {
  url: string
  db: Db
  container: CountingContainer
  database: Part
  edge: Part & {
    /** It keeps its sockets but does nothing any more. */
    pause(): void
    /** What the cron trigger does each minute in production. */
    runSchedule(): Promise<void>
  }
  /** Starts a runner with the one key and waits until it is ready; `spool` names its directory. */
  startRunner(spool?: string): Promise<RunnerProcess>
  create(data: string): Promise<Response>
  /** Creates a job that must be accepted. @returns its id. */
  createJob(data: string): Promise<string>
  job(id: string): Promise<Job>
}

export type SystemOptions = Pick<TestContext, 'onTestFinished'> & {
  /** Jobs that the container is given at once. */
  slots: number
}

/** The whole system, each program a process of its own, with one container `echo` in this process. All of it ends with the test. */
export async function startSystem({ onTestFinished, slots }: SystemOptions): Promise<System> {
  const folder = mkdtempSync(join(tmpdir(), 'infernet-flow-'))
  const container = await startCountingContainer()
  const [databasePort, edgePort] = await Promise.all([fixedPort(), fixedPort()])
  const databaseUrl = `http://127.0.0.1:${databasePort}`
  const url = `http://127.0.0.1:${edgePort}`
  const spawned: Spawned[] = []
  let libsql: Spawned | null = null
  let workerd: Edge | null = null
  onTestFinished(async () => {
    await killEdge()
    await Promise.all(spawned.map(killed))
    container.close()
    rmSync(folder, { recursive: true, force: true })
  })

  function spawnPart(...args: Parameters<typeof spawnMain>): Spawned {
    const part = spawnMain(...args)
    spawned.push(part)
    return part
  }

  async function startDatabase(): Promise<void> {
    const args = ['--path', join(folder, 'system.db'), '--port', String(databasePort)]
    libsql = spawnPart(args, {}, libsqlMain)
    await libsql.said(databaseUrl)
  }

  async function startWorkerd(): Promise<void> {
    workerd = await startEdge({
      port: edgePort,
      vars: { DATABASE_URL: databaseUrl, ADMIN_TOKEN: adminToken, ...pace },
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
  }

  const keyFile = join(folder, 'runner.key')
  const migrated = startDatabase().then(() => migrate({ url: databaseUrl }))
  const [key] = await Promise.all([generateKey(keyFile), startWorkerd(), migrated])
  await enrol(url, key.publicKey)

  const create: System['create'] = data =>
    fetch(`${url}/api/jobs`, { method: 'POST', body: `{"containers":["echo"],"data":${data}}` })

  return {
    url,
    db: openDb({ url: databaseUrl }),
    container,
    database: {
      start: startDatabase,
      kill: async () => {
        if (libsql) await killed(libsql)
      },
    },
    edge: {
      start: startWorkerd,
      kill: killEdge,
      pause: () => {
        if (workerd) process.kill(workerd.pid, 'SIGSTOP')
      },
      runSchedule: async () => await workerd?.runSchedule(),
    },
    async startRunner(spool = 'spool') {
      const directory = join(folder, spool)
      mkdirSync(directory, { recursive: true })
      const config = join(folder, `${spool}.json`)
      const echo = { id: 'echo', url: container.url, slots }
      writeFileSync(
        config,
        JSON.stringify({
          edge: { url, key_file: keyFile },
          manage_containers: false,
          containers: [echo],
          spool: directory,
        }),
      )
      const runner = spawnPart(['run', '--config', config])
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
  }
}

/** Sends SIGKILL, and waits until the process is gone. */
export async function killed({ child, exited }: Spawned): Promise<void> {
  child.kill('SIGKILL')
  await exited
}

async function enrol(url: string, publicKey: string): Promise<void> {
  const response = await fetch(`${url}/admin/runners`, {
    method: 'POST',
    headers: { authorization: `Bearer ${adminToken}`, 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'flow', public_key: publicKey }),
  })
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`)
}

function spooledIn(batches: string): string[] {
  const lines = readdirSync(batches).flatMap(name =>
    readFileSync(join(batches, name), 'utf8').split(/(?<=\n)/),
  )
  return lines.filter(line => line.endsWith('\n')).map(line => (JSON.parse(line) as { id: string }).id)
}
