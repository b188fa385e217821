import { createFirewall } from '../../src/runner/confine/firewall.ts'
import { readHost } from '../../src/runner/confine/host.ts'

/** Takes away firewall rules that runners of these scopes have left: of those that were killed, or whose engine was away at their end. */
export async function removeRules(scopes: Iterable<string>): Promise<void> {
  const { tables, nameservers, mayChangeNetwork } = readHost(undefined)
  if (mayChangeNetwork)
    for (const scope of scopes) await createFirewall({ scope, tables, nameservers }).remove()
}
