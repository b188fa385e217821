import type { Iptables } from './iptables.ts'
import type { Bridge } from './plan.ts'
import { closedRanges } from './ranges.ts'

/** Chains of one runner: what is forwarded, what is for the host itself, and what `public` reaches. */
export function chainsOf(scope: string) {
  const chain = (name: string) => `INFERNET-${scope}-${name}`
  return { forward: chain('FORWARD'), input: chain('INPUT'), public: chain('PUBLIC') } as const
}

/** Chains of any runner begin with this. */
export const chainPrefix = 'INFERNET-'

export type Ruleset = Pick<Iptables, 'family' | 'layer'> & {
  scope: string
  bridges: readonly Bridge[]
  /** Addresses of the host's name servers, of either family: names are asked of them wherever they are. */
  nameservers: readonly string[]
}

/**
 * The chains' rules, as lines of iptables-restore. Rules go by the interface that a packet comes in by, which no container chooses.
 * Answers pass, and nothing else of a connection because it stands: one that was opened while there were no rules ends with them.
 * Whoever is refused is told at once, and does not wait for a timeout.
 */
export function rulesOf({ scope, family, layer, bridges, nameservers }: Ruleset): string[] {
  const chains = chainsOf(scope)
  const reason = family === 4 ? 'icmp-admin-prohibited' : 'icmp6-adm-prohibited'
  const refuse = layer === 'filter' ? `-j REJECT --reject-with ${reason}` : '-j DROP'
  const asked = nameservers.filter(address => address.includes(':') === (family === 6))
  const names = (chain: string, from: string) =>
    asked.flatMap(address =>
      ['udp', 'tcp'].map(kind => `-A ${chain} ${from}-d ${address} -p ${kind} --dport 53 -j RETURN`),
    )
  // By which IPv6 finds who has an address on the same wire.
  const neighbours = family === 6 ? ['neighbour-solicitation', 'neighbour-advertisement'] : []
  const answers = (chain: string) =>
    `-A ${chain} -m conntrack --ctstate RELATED,ESTABLISHED --ctdir REPLY -j RETURN`
  return [
    answers(chains.forward),
    ...bridges.flatMap(({ bridge, egress }) => [
      // Only the host calls a container: of what comes from elsewhere Docker lets published ports pass.
      `-A ${chains.forward} ! -i ${bridge} -o ${bridge} -j DROP`,
      ...(egress === 'none' ? [`-A ${chains.forward} -i ${bridge} ! -o ${bridge} ${refuse}`] : []),
      ...(egress === 'public'
        ? [`-A ${chains.forward} -i ${bridge} ! -o ${bridge} -j ${chains.public}`]
        : []),
    ]),
    ...names(chains.public, ''),
    ...closedRanges[family].map(range => `-A ${chains.public} -d ${range} ${refuse}`),
    answers(chains.input),
    ...neighbours.map(kind => `-A ${chains.input} -p ipv6-icmp -m icmp6 --icmpv6-type ${kind} -j RETURN`),
    ...bridges.flatMap(({ bridge, egress }) => [
      ...(egress === 'public' ? names(chains.input, `-i ${bridge} `) : []),
      ...(egress === 'open' ? [] : [`-A ${chains.input} -i ${bridge} ${refuse}`]),
    ]),
  ]
}
