import { createHash } from 'node:crypto'
import type { Container } from '../config/config.ts'
import { splitWords } from './words.ts'

/** Labels of the containers that we make. */
export const label = {
  scope: 'infernet.runner',
  container: 'infernet.container',
  spec: 'infernet.spec',
} as const

/** Every container listens here inside (reference node 2.1). */
export const innerPort = '3000/tcp'

export type SpecOptions = { container: Container; imageId: string; scope: string; hostIp: string }

export type Spec = { name: string; hash: string; create(hostPort: number): object }

/** `scope` tells apart runners on one engine, so that equal ids in two configs never meet. */
export function nameOf(scope: string, id: string): string {
  return `infernet-${scope}-${id}`
}

/**
 * How a container is made. The hash
 * covers all that the config says, the image's content included, but not the port that was found free: a container on a spare
 * port is the same container.
 */
export function specOf({ container, imageId, scope, hostIp }: SpecOptions): Spec {
  const { id, image, env, command, volumes, gpu, port } = container
  const fixed = {
    Image: image,
    Env: Object.entries(env).map(([name, value]) => `${name}=${value}`),
    ...(command.trim() !== '' && { Cmd: splitWords(command) }),
    ExposedPorts: { [innerPort]: {} },
  }
  const host = {
    Binds: volumes,
    RestartPolicy: { Name: 'on-failure', MaximumRetryCount: 5 },
    SecurityOpt: ['no-new-privileges'],
    ...(gpu && { DeviceRequests: [{ Count: -1, Capabilities: [['gpu']] }] }),
  }
  const hash = createHash('sha256')
    .update(JSON.stringify([fixed, host, imageId, port, hostIp]))
    .digest('hex')
    .slice(0, 32)
  return {
    name: nameOf(scope, id),
    hash,
    create: hostPort => ({
      ...fixed,
      Labels: { [label.scope]: scope, [label.container]: id, [label.spec]: hash },
      HostConfig: {
        ...host,
        PortBindings: { [innerPort]: [{ HostIp: hostIp, HostPort: String(hostPort) }] },
      },
    }),
  }
}
