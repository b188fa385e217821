import { posix } from 'node:path'
import type { Container } from '../config/config.ts'
import type { Host } from './host.ts'

/** What puts the host into the hand of a container, and what to do about it, which names what stays on this host. */
export type Handover = { what: string; fix: string }

/**
 * With one of these a process leaves its container, or rules what all of the host shares: mounts, modules, devices, files by their
 * handles, the kernel and what is traced in it, its log, the clock, a start of another kernel, rules of access and records of it.
 */
const masterKeys = new Set([
  ...['ALL', 'SYS_ADMIN', 'SYS_MODULE', 'SYS_RAWIO', 'MKNOD', 'DAC_READ_SEARCH'],
  ...['BPF', 'PERFMON', 'SYSLOG', 'SYS_TIME', 'SYS_BOOT'],
  ...['MAC_ADMIN', 'MAC_OVERRIDE', 'AUDIT_CONTROL', 'AUDIT_READ'],
])

/** The host's devices, kernel, programs and settings, and whoever is root there by an engine. */
const masterPlaces = [
  ...['/dev', '/proc', '/sys', '/boot', '/etc', '/root', '/run', '/var/run'],
  ...['/usr', '/bin', '/sbin', '/lib', '/lib32', '/lib64', '/libx32'],
  ...['/var/lib/docker', '/var/lib/containerd', '/var/lib/containers', '/var/lib/kubelet'],
  ...['/var/spool/cron', '/var/lib/systemd'],
]
/** All homes, one of them, or what is hidden in it: keys, and what its owner's shell runs. */
const homes = /^\/home(?:\/[^/]+(?:\/\..*)?)?$/
/** Of an engine, wherever it is. */
const sockets = /\/(?:docker|containerd|podman|crio|buildkitd)[^/]*\.sock$/

/** By what a configured container has the host. */
export function handedOver(
  { capabilities, volumes }: Pick<Container, 'capabilities' | 'volumes'>,
  host: Pick<Host, 'dockerHost' | 'realPath'>,
): Handover[] {
  const keys = capabilities
    .filter(name => masterKeys.has(name))
    .map(name => ({ what: `capability ${name} gives it the host`, fix: 'leave it out of capabilities' }))
  const sources = volumes
    .map(sourceOf)
    .filter(source => source !== null && isMaster(source, host))
    .map(source => ({
      what: 'a volume of it gives it the host',
      fix: `leave ${source} out of volumes`,
    }))
  return [...keys, ...sources]
}

/** Of a bind `SOURCE:TARGET[:OPTIONS]`. Null of a volume, which Docker keeps by its name, or without one. */
function sourceOf(bind: string): string | null {
  const [source = '', target] = bind.split(':')
  return target !== undefined && source.startsWith('/') ? source : null
}

/** As it is written, and as it is where its links lead. */
function isMaster(source: string, { dockerHost, realPath }: Pick<Host, 'dockerHost' | 'realPath'>): boolean {
  const own = dockerHost?.startsWith('unix://') ? [dockerHost.slice('unix://'.length)] : []
  const places = [...masterPlaces, ...own]
  const plain = posix.resolve(source)
  return [plain, realPath(plain)].some(
    path =>
      homes.test(path) ||
      sockets.test(path) ||
      places.some(place => isWithin(path, place) || isWithin(place, path)),
  )
}

function isWithin(path: string, place: string): boolean {
  return path === place || path.startsWith(place.endsWith('/') ? place : `${place}/`)
}
