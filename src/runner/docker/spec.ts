import { createHash } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import type { Container } from '../config/config.ts'
import { type Devices, deviceRequests } from '../gpu/devices.ts'
import { boundsOf } from './bounds.ts'
import { secretsOf } from './refused.ts'
import { splitWords } from './words.ts'

/** Labels of the containers that we make. */
export const label = {
  scope: 'infernet.runner',
  container: 'infernet.container',
  spec: 'infernet.spec',
  port: 'infernet.port',
} as const

/** The networks that a container is on, by name and id: its own, and those it joins before it starts. */
export type Standing = {
  network: string
  id: string
  joined: { network: string; id: string; alias: string | null }[]
}

/** Of each container. What floods its log fills no disk. */
const logs = { Type: 'json-file', Config: { 'max-size': '10m', 'max-file': '3' } }

export type SpecOptions = {
  container: Container
  imageId: string
  scope: string
  hostIp: string
  standing: Standing
  /** The GPUs that it gets. */
  devices: Devices
  /** What it may take where nothing is configured; null: no limit. */
  usualMemoryBytes: number | null
}

export type Spec = {
  name: string
  hash: string
  joined: Standing['joined']
  /** Labels by which one of that name is ours, as it is or of an earlier configuration. */
  own: Readonly<Record<string, string>>
  /** What of it is told to nobody. */
  secrets: readonly string[]
  create(hostPort: number): object
}

/** `scope` tells apart runners on one engine, so that equal ids in two configs never meet. */
export function nameOf(scope: string, id: string): string {
  return `infernet-${scope}-${id}`
}

/**
 * How a container is made. The hash
 * covers all that the config says, the image's content included, in whatever order it says it, but not the port that the container was
 * given in place of the one it wants: on a spare port it is the same container, and whoever else comes and goes moves it nowhere.
 */
export function specOf(options: SpecOptions): Spec {
  const { container, imageId, scope, hostIp, standing, devices, usualMemoryBytes } = options
  const { id, image, env, command, volumes, wantedPort } = container
  const innerPort = `${container.innerPort}/tcp`
  const fixed = {
    Image: image,
    Env: Object.entries(env)
      .map(([name, value]) => `${name}=${value}`)
      .sort(),
    ...(command.trim() !== '' && { Cmd: splitWords(command) }),
    ExposedPorts: { [innerPort]: {} },
  }
  const host = {
    Binds: volumes,
    ...boundsOf(container, usualMemoryBytes),
    NetworkMode: standing.network,
    ...deviceRequests(devices),
    // The runner starts it again: it has to see why it ended first, and Docker would forget. After a boot it would be up before its
    // firewall rules are.
    RestartPolicy: { Name: 'no' },
    LogConfig: logs,
  }
  const own = { [label.scope]: scope, [label.container]: id }
  const joined = standing.joined.toSorted((a, b) => (a.network < b.network ? -1 : 1))
  const hash = createHash('sha256')
    .update(JSON.stringify([fixed, host, imageId, wantedPort, hostIp, { ...standing, joined }]))
    .digest('hex')
    .slice(0, 32)
  return {
    name: nameOf(scope, id),
    hash,
    joined: standing.joined,
    own,
    secrets: secretsOf(container),
    create: hostPort => ({
      ...fixed,
      Labels: { ...own, [label.spec]: hash, [label.port]: String(hostPort) },
      HostConfig: {
        ...host,
        PortBindings: { [innerPort]: [{ HostIp: hostIp, HostPort: String(hostPort) }] },
      },
    }),
  }
}

/** Whether two containers are made in the same way, as far as their configuration says. */
export function isMadeAlike(one: Container, other: Container): boolean {
  return isDeepStrictEqual(made(one), made(other))
}

function made(container: Container) {
  const { gpu, links } = container
  const standing = { network: '', id: '', joined: [] }
  const found = {
    imageId: '',
    scope: '',
    hostIp: '',
    standing,
    devices: 'none',
    usualMemoryBytes: 1,
  } as const
  const { hash } = specOf({ container, ...found })
  return { hash, gpu, links: [...new Set(links)].sort() }
}
