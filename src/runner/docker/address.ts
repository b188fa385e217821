import type { buildConnector } from 'undici'
import type { Tls } from './tls.ts'

const usual = 'unix:///var/run/docker.sock'
const unix = 'unix://'

/** Where the engine is asked, and what leads there. */
export type Address = { origin: string; connect: buildConnector.BuildOptions | buildConnector.connector }

/** Whether containers of the engine at `DOCKER_HOST` run on this host. */
export function isLocal(dockerHost: string | undefined): boolean {
  return (dockerHost || usual).startsWith(unix)
}

/** Where an engine is, without whatever else its address may have in it, such as a password. */
export function placeOf(dockerHost: string | undefined): string {
  const host = dockerHost || usual
  if (host.startsWith(unix)) return host
  const url = URL.parse(host)
  return url === null ? 'another place' : `${url.protocol}//${url.host}`
}

/** Why nobody speaks to an engine at `DOCKER_HOST`, without its value, which may have a password in it; null: somebody does. */
export function addressProblem(dockerHost: string | undefined): { what: string; fix: string } | null {
  const host = dockerHost || usual
  if (socketOf(host) !== null || tcpUrl(host) !== null) return null
  const [, scheme] = /^(?!tcp:|unix:)([a-z][a-z\d+.-]*):\/\//i.exec(host) ?? []
  const what = `DOCKER_HOST ${scheme === undefined ? 'is no address' : `begins with ${scheme}://`}, and Docker's engine is spoken to at unix:// or tcp:// addresses alone`
  return scheme?.toLowerCase() === 'ssh' ? { what, fix: tunnel } : { what, fix: 'correct it, or unset it' }
}

const tunnel =
  "run the runner on the engine's own host, or have an ssh tunnel to its socket (ssh -N -L /run/there.sock:/var/run/docker.sock HOST, and -L for the port of each container), and set DOCKER_HOST to unix:///run/there.sock"

/** `tls`: for `tcp://`; null: in the clear. An address that says nothing to us leads nowhere, since what would answer at a guess is anybody. */
export function addressOf(dockerHost: string | undefined, tls: Tls | null): Address {
  const host = dockerHost || usual
  const problem = addressProblem(dockerHost)
  if (problem !== null)
    return { origin: 'http://docker', connect: (_, done) => done(new Error(problem.what), null) }
  const url = tcpUrl(host)
  if (url === null) return { origin: 'http://docker', connect: { socketPath: socketOf(host) } }
  // Docker's own ports, which are no browser's.
  const place = url.port === '' ? `${url.host}:${tls === null ? 2375 : 2376}` : url.host
  return tls === null
    ? { origin: `http://${place}`, connect: {} }
    : { origin: `https://${place}`, connect: { ...tls } }
}

function socketOf(host: string): string | null {
  return host.startsWith(unix) ? host.slice(unix.length) || null : null
}

/** Sound as a URL of HTTP is, whose own port 80 is dropped where it is parsed as one. */
function tcpUrl(host: string): URL | null {
  if (!host.startsWith('tcp://') || !URL.canParse(host.replace('tcp:', 'http:'))) return null
  const url = URL.parse(host)
  return url?.hostname ? url : null
}
