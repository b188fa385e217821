import type { Config, Container } from '../config/config.ts'
import { placeOf } from '../docker/address.ts'
import { handedOver } from './handover.ts'
import type { Host } from './host.ts'

/** Why a container is not kept in its place, in words for the operator. */
export type IsolationProblem = {
  container: string
  what: string
  fix: string
  /** The operator has asked for what is not kept, and does not just get a default. */
  asked: boolean
}

type Obstacle = { what: string; fix: string }

/** Why no firewall rules can be set for containers, as far as it shows before one tries; null: nothing is in the way. */
export function obstacleOf({ platform, uid, mayChangeNetwork, dockerHost }: Host): Obstacle | null {
  if (platform !== 'linux')
    return { what: `the host is ${platform}`, fix: 'run it on Linux, or set egress to "open"' }
  if (dockerHost !== null && !dockerHost.startsWith('unix://'))
    return {
      what: `Docker's engine is at ${placeOf(dockerHost)}, and rules would be set on this host`,
      fix: 'run the runner on the engine\'s host, or set egress to "open"',
    }
  if (!mayChangeNetwork)
    return {
      what: `the runner (its user is ${uid}) may not set firewall rules`,
      fix: 'run it as root or with CAP_NET_ADMIN, or set egress to "open"',
    }
  return null
}

/**
 * Everything in which the containers of a configuration are not kept in their place.
 * @param found why rules of a container do not stand, where trying has shown it
 */
export function isolationProblems(
  config: Pick<Config, 'containers'>,
  host: Host,
  found: (container: Container) => string | null = () => null,
): IsolationProblem[] {
  const obstacle = obstacleOf(host)
  return config.containers
    .filter(({ managed }) => managed)
    .flatMap(container => [
      ...unkept(container, obstacle ?? firewallObstacle(found(container))),
      ...handedOver(container, host).map(found => ({ container: container.id, asked: true, ...found })),
    ])
}

function unkept({ id, egress, egressAsked }: Container, obstacle: Obstacle | null): IsolationProblem[] {
  if (egress === 'open' || obstacle === null) return []
  const { what, fix } = obstacle
  return [{ container: id, what: `egress "${egress}" is not kept: ${what}`, fix, asked: egressAsked }]
}

function firewallObstacle(found: string | null): Obstacle | null {
  return found === null ? null : { what: found, fix: firewallFix }
}

/** Why rules do nothing, where it is that. */
export const bridgesElsewhere = "Docker's bridges are not in the runner's own network"
const firewallFix = "install iptables, and run the runner where Docker's bridges are"
