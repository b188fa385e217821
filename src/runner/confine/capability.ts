import { readFileSync } from 'node:fs'

/** Bit of `CAP_NET_ADMIN` (capability.h). */
const netAdmin = 12n

/** Whether this process may change its network: root mostly may, and a user to whom a service manager has given that. */
export function mayChangeNetwork(): boolean {
  try {
    return hasNetAdmin(readFileSync('/proc/self/status', 'utf8'))
  } catch {
    // There is no such file but on Linux.
    return false
  }
}

/** @param status as in `/proc/PID/status` */
export function hasNetAdmin(status: string): boolean {
  const [, effective = '0'] = /^CapEff:\s*([0-9a-f]+)$/m.exec(status) ?? []
  return ((BigInt(`0x${effective}`) >> netAdmin) & 1n) === 1n
}
