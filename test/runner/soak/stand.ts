import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createAdmin } from '../../../src/client/admin.ts'
import { freePort } from '../../../src/local/port.ts'
import { scopeOf } from '../../../src/runner/docker/scope.ts'
import { nameOf } from '../../../src/runner/docker/spec.ts'
import { generateKey } from '../../../src/runner/key/generate.ts'
import { buildImage, docker, removeContainers } from '../docker.ts'
import { type Spawned, spawnMain } from '../spawn.ts'
import { startWire, type Wire } from './wire.ts'

const hostMain = fileURLToPath(new URL('../../../src/host/main.ts', import.meta.url))
const program = readFileSync(fileURLToPath(new URL('./program.js', import.meta.url)), 'utf8')
const adminToken = 'admin-token-of-the-soak-0123456789'

export const containers = ['one', 'two', 'three', 'four'] as const
const slotsEach = 4
/** Short, so that what a killed runner had is given out again while the soak runs; production's is 60 s. */
export const leaseMs = 8_000
export const maxTries = 3

/** What a container has written of a job: in the ledger, which outlives it. */
export type Entry = { what: 'called' | 'answered' | 'exits'; name: string; container: string; at: number }

/** An edge, a runner, and containers on the machine's own engine; each program is a process of its own. */
export type Stand = {
  url: string
  scope: string
  spool: string
  wire: Wire
  edge: Spawned
  /** The one that was started last. */
  runner(): Spawned
  /** Everything that runners have logged. */
  log(): string
  /** Another process of the same configuration. */
  startRunner(): Spawned
  /** Docker's name of a container. */
  nameOf(id: string): string
  ledger(): Entry[]
  close(): Promise<void>
}

export async function setUp(): Promise<Stand> {
  const folder = mkdtempSync(join(tmpdir(), 'infernet-soak-'))
  const image = `infernet-runner-soak:${process.pid}`
  const spool = join(folder, 'spool')
  const scope = scopeOf({ spool: { directory: spool } })
  // Containers have no right to what is their owner's alone.
  const ledger = join(folder, 'ledger')
  mkdirSync(ledger)
  chmodSync(ledger, 0o777)
  const closers: (() => unknown)[] = [
    () => rmSync(folder, { recursive: true, force: true }),
    () => docker(['rmi', '-f', image]),
    () => removeContainers([scope]),
  ]
  const close = async () => {
    for (const end of closers.reverse()) await end()
  }
  const ended = async ({ child, exited }: Spawned) => {
    child.kill('SIGKILL')
    await exited
  }

  try {
    await buildImage(image, program)
    const port = await freePort()
    const url = `http://127.0.0.1:${port}`
    const edge = spawnMain(
      ['--port', String(port), '--migrate'],
      {
        ORIGIN: url,
        DATABASE_URL: `file:${join(folder, 'edge.db')}`,
        ADMIN_TOKEN: adminToken,
        LEASE_SECONDS: String(leaseMs / 1_000),
        // On a machine that is busy two may be late.
        HEARTBEAT_SECONDS: String(leaseMs / 4_000),
        MAX_TRIES: String(maxTries),
        // A container may be away for a minute by its back-off: nothing is meant to expire for that.
        STREAM_EXPIRY_SECONDS: '600',
      },
      hostMain,
    )
    closers.push(() => ended(edge))
    await edge.said('Edge listens')
    const wire = await startWire(port)
    closers.push(wire.close)
    const { publicKey } = await generateKey(join(folder, 'runner.key'))
    await createAdmin({ url, token: adminToken }).enrolRunner({ name: 'soak', public_key: publicKey })
    const ports = await Promise.all(containers.map(() => freePort()))
    const config = {
      edge: { url: wire.url, audience: url, key_file: 'runner.key' },
      containers: containers.map((id, index) => ({
        id,
        image,
        port: ports[index],
        slots: slotsEach,
        env: { NAME: id },
        volumes: [`${ledger}:/ledger`],
      })),
      timeout: 60,
      spool,
      listen: '127.0.0.1:0',
    }
    writeFileSync(join(folder, 'config.json'), JSON.stringify(config))
    const runners: Spawned[] = []
    closers.push(() => Promise.all(runners.map(ended)))

    return {
      url,
      scope,
      spool,
      wire,
      edge,
      runner() {
        const last = runners.at(-1)
        if (last === undefined) throw new Error('No runner was started')
        return last
      },
      log: () => runners.map(({ output }) => output()).join(''),
      startRunner() {
        const started = spawnMain(['run', '--config', join(folder, 'config.json')])
        runners.push(started)
        return started
      },
      nameOf: id => nameOf(scope, id),
      ledger: () =>
        readdirSync(ledger).flatMap(file =>
          readFileSync(join(ledger, file), 'utf8')
            .split('\n')
            .filter(Boolean)
            .map(line => JSON.parse(line) as Entry),
        ),
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}
