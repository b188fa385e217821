import ipaddr from 'ipaddr.js'
import type { Config, Container } from './config.ts'
import { type Problem, pathOf } from './problem.ts'

/** Who has a token reads and changes what is its owner's; what is told never repeats it. */
export function riskyTokens({ containers }: Pick<Config, 'containers'>): Problem[] {
  return containers.flatMap(({ bearer, url }, index) =>
    bearer !== '' && url.startsWith('http:') && !isNear(new URL(url).hostname)
      ? [
          {
            path: pathOf(['containers', index, 'bearer']),
            what: 'goes over the internet in the clear, for whoever is on the way',
            fix: 'have the container at an https:// address, or in a private network',
          },
        ]
      : [],
  )
}

/** `mode`: of the configuration file at `path`. */
export function riskyFile(
  { docker, containers }: Pick<Config, 'docker' | 'containers'>,
  { path, mode }: { path: string; mode: number },
): Problem[] {
  const secrets = [
    ...(docker ? ['docker.password'] : []),
    ...(containers.some(({ bearer }) => bearer !== '') ? ['bearer'] : []),
    ...(containers.some(hasEnv) ? ['env'] : []),
  ]
  if (secrets.length === 0 || (mode & 0o004) === 0) return []
  const what = `${path} has mode ${(mode & 0o777).toString(8)}: every user of this host reads ${secrets.join(', ')}`
  return [{ path: '', what, fix: `chmod 600 ${path}` }]
}

function hasEnv({ env }: Container): boolean {
  return Object.keys(env).length > 0
}

const nearRanges = new Set(['loopback', 'private', 'uniqueLocal', 'linkLocal', 'carrierGradeNat'])

/** A host that is not reached over the internet, as far as its name says: `model`, `gpu.local`, `10.0.0.7`. */
function isNear(hostname: string): boolean {
  const host = hostname.replace(/^\[|\]$/g, '')
  if (ipaddr.isValid(host)) return nearRanges.has(ipaddr.process(host).range())
  return /^[^.]+$|\.(?:localhost|local|internal|lan|home\.arpa)$/.test(host)
}
