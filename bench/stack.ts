import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createAdmin } from '../src/client/admin.ts'
import { migrate } from '../src/edge/db/migrate.ts'
import { leanHeap } from '../src/host/lean-heap.ts'
import { type Edge, startEdge } from '../src/local/edge.ts'
import { generateKey } from '../src/runner/key/generate.ts'
import { type Counter, startCounter } from './counter.ts'
import { type Child, startProcess } from './processes.ts'

const adminToken = 'admin-token-of-the-benchmarks-0123456789'

export type BenchStack = {
  edge: Edge
  databaseUrl: string
  /** Where the container answers. */
  programUrl: string
  /** What passes between edge and database, and between runner and edge; null when not asked for. */
  counters: { sql: Counter; runner: Counter } | null
  startRunner(): Promise<Child>
  close(): Promise<void>
}

export type BenchOptions = {
  count: boolean
  container?: 'noop' | 'echo' | 'pour'
  inspectorPort?: number
  /** Beside those that every bench has. */
  vars?: Record<string, string>
}

/**
 * The system as `npm start` runs it, with a container that does nothing, each program a process of its own, the database on disk
 * with full durability. `count` puts counting proxies between them, which cost time: timings are taken without.
 */
export async function startBenchStack({
  count,
  container = 'noop',
  inspectorPort,
  vars = {},
}: BenchOptions): Promise<BenchStack> {
  const folder = mkdtempSync(join(tmpdir(), 'infernet-bench-'))
  const database = await startProcess(['src/local/libsql/main.ts', '--path', join(folder, 'bench.db')])
  const program = await startProcess([`bench/${container}.ts`])
  await migrate({ url: database.firstLine })
  const sql = count ? await startCounter(database.firstLine) : null
  const edge = await startEdge({
    ...(inspectorPort === undefined ? {} : { inspectorPort }),
    vars: {
      DATABASE_URL: sql?.url ?? database.firstLine,
      ADMIN_TOKEN: adminToken,
      MAX_QUEUED_PER_OWNER: '10000000',
      MAX_QUEUED: '10000000',
      ...vars,
    },
    log: line => {
      if (!line.includes('"info"')) console.error(line)
    },
  })
  const runnerSide = count ? await startCounter(edge.url) : null
  const key = await generateKey(join(folder, 'runner.pem'))
  const admin = createAdmin({ url: edge.url, token: adminToken })
  await admin.enrolRunner({ name: 'bench', public_key: key.publicKey })
  const config = {
    edge: { url: runnerSide?.url ?? edge.url, audience: edge.url, key_file: 'runner.pem' },
    manage_containers: false,
    containers: [{ id: container, url: program.firstLine, slots: 256 }],
  }
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config))
  // Registered once, so that jobs are accepted while no runner runs.
  await (await startRunner(folder)).close()

  return {
    edge,
    databaseUrl: database.firstLine,
    programUrl: program.firstLine,
    counters: sql && runnerSide ? { sql, runner: runnerSide } : null,
    startRunner: () => startRunner(folder),
    async close() {
      await edge.close()
      await Promise.all([sql?.close(), runnerSide?.close(), program.close(), database.close()])
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

async function startRunner(folder: string): Promise<Child> {
  return await startProcess(
    [leanHeap, 'src/runner/main.ts', 'run', '--config', join(folder, 'config.json')],
    {},
    /Registered|ready/i,
  )
}
