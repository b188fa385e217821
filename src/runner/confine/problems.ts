import type { Config, Container } from '../config/config.ts'
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
      what: `Docker's engine is at ${dockerHost}, and rules would be set on this host`,
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
 * @param found why rules do not stand, where trying has shown it
 */
export function isolationProblems(
  config: Pick<Config, 'containers'>,
  host: Host,
  found: string | null = null,
): IsolationProblem[] {
  const obstacle = obstacleOf(host) ?? (found === null ? null : { what: found, fix: firewallFix })
  return config.containers
    .filter(({ managed }) => managed)
    .flatMap(container => [
      ...(container.egress === 'open' || obstacle === null
        ? []
        : [
            {
              container: container.id,
              what: `egress "${container.egress}" is not kept: ${obstacle.what}`,
              fix: obstacle.fix,
              asked: container.egressAsked,
            },
          ]),
      ...handedOver(container),
    ])
}

const firewallFix = "install iptables, and run the runner where Docker's bridges are"

/** With one of these a process leaves its container: mounts, modules, raw devices, files by their handles. */
const masterKeys = new Set(['ALL', 'SYS_ADMIN', 'SYS_MODULE', 'SYS_RAWIO', 'DAC_READ_SEARCH'])
/** Of a bind `SOURCE:TARGET[:OPTIONS]`: the whole host, its devices and kernel, or the engine that is root there. */
const masterSources = /^(?:\/|\/(?:dev|proc|sys|etc|root|run|var\/run)\/?|\S*\/docker\.sock)$/

function handedOver({ id, capabilities, volumes }: Container): IsolationProblem[] {
  const keys = capabilities
    .filter(name => masterKeys.has(name))
    .map(name => ({ what: `capability ${name} gives it the host`, fix: 'leave it out of capabilities' }))
  const sources = volumes
    .map(bind => bind.split(':')[0] ?? '')
    .filter(source => masterSources.test(source))
    .map(source => ({ what: `volume ${source} gives it the host`, fix: 'leave it out of volumes' }))
  return [...keys, ...sources].map(problem => ({ container: id, asked: true, ...problem }))
}
