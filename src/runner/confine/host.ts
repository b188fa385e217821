import { realpathSync } from 'node:fs'
import { access } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { mayChangeNetwork } from './capability.ts'
import { createFloor, createIptables, hostFamilies, type Iptables } from './iptables.ts'
import { readNameservers } from './nameservers.ts'

/** What of the runner's host decides whether containers can be kept in their place. */
export type Host = {
  platform: string
  /** Of this process; null where users have no numbers. */
  uid: number | null
  mayChangeNetwork: boolean
  /** Where Docker's engine is; null: the usual socket. */
  dockerHost: string | null
  tables: readonly Iptables[]
  nameservers: () => Promise<readonly string[]>
  /** Whether a network interface of that name is where this process is. */
  hasInterface(name: string): Promise<boolean>
  /** Where links lead, as far as this process sees them; what is not there yet is where it would be made. */
  realPath(path: string): string
}

export function readHost(dockerHost: string | undefined): Host {
  return {
    platform: process.platform,
    uid: process.getuid?.() ?? null,
    mayChangeNetwork: mayChangeNetwork(),
    dockerHost: dockerHost || null,
    tables: hostFamilies().flatMap(family => [createIptables(family), createFloor(family)]),
    nameservers: readNameservers,
    hasInterface: name =>
      access(`/sys/class/net/${name}`).then(
        () => true,
        () => false,
      ),
    realPath,
  }
}

function realPath(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    const above = dirname(path)
    return above === path ? path : join(realPath(above), basename(path))
  }
}
