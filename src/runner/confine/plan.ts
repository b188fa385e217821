import { createHash } from 'node:crypto'
import type { Config, Container } from '../config/config.ts'
import type { Egress } from '../config/confinement.ts'

/** What the firewall knows of a bridge: what may leave it. `none` is also for what links two containers. */
export type Bridge = { bridge: string; egress: Egress }

/** A network of Docker's that belongs to this runner. */
export type Network = Bridge & {
  name: string
  /** It joins two containers, and leads nowhere else. */
  link: boolean
}

/** A network that joins a container with a neighbour, and the name that the container is to have there, if any. */
export type Joint = { network: Network; alias: string | null }

/** Where a container stands: on a bridge of its own, and on one for each link that it declares or is named in. */
export type Place = { own: Network; joints: Joint[] }

export function placeOf(scope: string, container: Container, all: readonly Container[]): Place {
  const { id } = container
  const joints = all.flatMap(from =>
    [...new Set(from.links)]
      .filter(to => from.id === id || to === id)
      .map(to => ({ network: linkNetwork(scope, from.id, to), alias: to === id ? id : null })),
  )
  return { own: ownNetwork(scope, container), joints }
}

/** Every network of a configuration, each once. */
export function networksOf(scope: string, { containers }: Pick<Config, 'containers'>): Network[] {
  return containers
    .filter(({ managed }) => managed)
    .flatMap(container => [
      ownNetwork(scope, container),
      ...[...new Set(container.links)].map(to => linkNetwork(scope, container.id, to)),
    ])
}

export function ownNetwork(scope: string, { id, egress }: Container): Network {
  return { name: `infernet-${scope}-${id}`, bridge: bridgeOf([scope, id]), egress, link: false }
}

/** Directed: two containers that name each other have two. A digest keeps apart ids that have dots. */
function linkNetwork(scope: string, from: string, to: string): Network {
  const bridge = bridgeOf([scope, from, to])
  return { name: `infernet-${scope}.${from}.${to}.${bridge.slice(3, 9)}`, bridge, egress: 'none', link: true }
}

/** The interface's name, at most 15 characters, is known before the interface is there: so rules can be there first. */
function bridgeOf(key: readonly string[]): string {
  return `ifn${createHash('sha256').update(JSON.stringify(key)).digest('hex').slice(0, 11)}`
}
