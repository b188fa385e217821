import { createFirewall } from '../../src/runner/confine/firewall.ts'
import { readHost } from '../../src/runner/confine/host.ts'
import type { Iptables } from '../../src/runner/confine/iptables.ts'

/** Takes away firewall rules that runners of these scopes have left: of those that were killed, or whose engine was away at their end. */
export async function removeRules(scopes: Iterable<string>): Promise<void> {
  const { tables, nameservers, mayChangeNetwork } = readHost(undefined)
  const left = [...scopes]
  if (!mayChangeNetwork || left.length === 0) return
  const there = await Promise.all(tables.map(isThere))
  const known = tables.filter((_, index) => there[index])
  for (const scope of left) await createFirewall({ scope, tables: known, nameservers }).remove()
}

/** Where its program is missing no runner has set any rules. */
async function isThere(table: Iptables): Promise<boolean> {
  return await table.save().then(
    () => true,
    (error: unknown) => !String(error).includes('is not installed'),
  )
}
