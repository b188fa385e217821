import { execFileSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, onTestFinished } from 'vitest'
import { freePort } from '../../src/local/port.ts'
import { parseConfig } from '../../src/runner/config/load.ts'
import type { Host } from '../../src/runner/confine/host.ts'
import { nameOf } from '../../src/runner/docker/spec.ts'
import { docker, removeContainers } from './docker.ts'
import { keepFleet } from './kept.ts'
import { type Attempt, attempt, buildLab, labImage } from './lab.ts'
import { eventually } from './setup.ts'

/** The real engine, and the real firewall: these tests are skipped without an engine, or without root. */
export const able =
  process.getuid?.() === 0 && answers('docker', 'version') && answers('iptables-save') && answers('ip', '-V')
const wanted = 'they want root, a Docker engine, iptables and iproute2'
if (!able && process.env.CI === 'true') throw new Error(`Tests of isolation cannot run: ${wanted}`)
if (!able) console.log(`Tests of isolation are skipped: ${wanted}`)

export function answers(command: string, ...args: string[]): boolean {
  try {
    execFileSync(command, args, { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** What `docker inspect` says of a container. */
export type Inspected = {
  State: { Pid: number }
  NetworkSettings: { Networks: Record<string, { Gateway: string; IPAddress: string }>; Ports: Ports }
}
type Ports = Record<string, { HostPort: string }[]>
export const networkOf = ({ NetworkSettings }: Inspected) => Object.values(NetworkSettings.Networks)[0]!

/** All firewall rules of a kind of table, or of all. */
export const tables = (...args: string[]) => execFileSync('iptables-save', args, { encoding: 'utf8' })

type Entry = { id: string } & Record<string, unknown>
type Options = { root?: object; host?: Partial<Host>; env?: object; spool?: string }

/** For a `describe`: the image of the lab is there before its tests, and nothing of them after. */
export function useLab() {
  /** Of runners whose containers go at the end. */
  const scopes = new Set<string>()
  beforeAll(buildLab, 120_000)
  afterAll(async () => {
    await removeContainers(scopes)
    docker(['rmi', '-f', labImage])
  })

  /** Keeps the containers of a configuration, as a runner does, until the test ends. */
  async function keep(entries: Entry[], { root, host: unusual, env = {}, spool }: Options = {}) {
    const ports = new Map<string, number>()
    const directory = spool ?? join(tmpdir(), `infernet-confine-${randomUUID()}`)
    async function configOf(entries: Entry[]) {
      for (const { id } of entries) if (!ports.has(id)) ports.set(id, await freePort())
      const containers = entries.map(entry => ({ image: labImage, port: ports.get(entry.id), ...entry }))
      const edge = { url: 'http://edge', key_file: 'key' }
      const source = JSON.stringify({ edge, spool: directory, containers, ...root })
      return parseConfig(source, { path: '/config.json', env }).config
    }
    const config = await configOf(entries)
    const { scope, seen, logged, confinement, fleet, end } = await keepFleet(config, unusual)
    scopes.add(scope)
    onTestFinished(async () => {
      await end()
      await removeContainers([scope])
    })
    const ready = () => eventually(() => seen.all().every(({ health }) => health === 'ready'))
    const tell = (id: string) => (wanted: Attempt) => attempt(seen.get(id)?.baseUrl ?? '', wanted)
    const inspected = (id: string) => JSON.parse(docker(['inspect', nameOf(scope, id)]))[0]
    const reload = async (entries: Entry[]) => await fleet.apply(await configOf(entries))
    return { scope, seen, logged, confinement, config, end, ready, reload, tell, inspected }
  }

  return { scopes, keep }
}
