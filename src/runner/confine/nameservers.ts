import { readFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import * as v from 'valibot'

const Daemon = v.pipe(v.string(), v.parseJson(), v.object({ dns: v.optional(v.array(v.string()), []) }))

/** Where Docker looks for a host's name servers: systemd's stub is a loopback address, which no container reaches. */
const resolvConfs = ['/etc/resolv.conf', '/run/systemd/resolve/resolv.conf']
const daemonJson = '/etc/docker/daemon.json'

/** The addresses that Docker has containers ask for names, other than loopback ones, which it asks by itself. */
export async function readNameservers(): Promise<string[]> {
  const [daemon, ...written] = await Promise.all([daemonJson, ...resolvConfs].map(textOf))
  const parsed = v.safeParse(Daemon, daemon)
  const found = [...(parsed.success ? parsed.output.dns : []), ...written.flatMap(serversIn)]
  return [...new Set(found)].filter(address => isIP(address) !== 0 && !/^(127\.|::1$)/.test(address))
}

function serversIn(resolvConf: string): string[] {
  return [...resolvConf.matchAll(/^\s*nameserver\s+([^\s%]+)/gm)].map(([, address = '']) => address)
}

/** Not every host has each of these files. */
function textOf(path: string): Promise<string> {
  return readFile(path, 'utf8').catch(() => '')
}
