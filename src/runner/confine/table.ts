import { chainPrefix, chainsOf } from './ruleset.ts'

/** The kernel's filter table, as iptables-save writes it. */
export type Table = { chains: ReadonlySet<string>; rules: readonly string[] }

export function parseTable(saved: string): Table {
  const lines = saved.split('\n')
  return {
    chains: new Set(lines.flatMap(line => /^:(\S+)/.exec(line)?.[1] ?? [])),
    rules: lines.filter(line => line.startsWith('-A ')),
  }
}

/** What stands in a runner's own chains, in one text: two are equal when nobody touched them. */
export function ownRules({ rules }: Table, scope: string): string {
  const own = Object.values(chainsOf(scope)).map(chain => `-A ${chain} `)
  return rules.filter(rule => own.some(begin => rule.startsWith(begin))).join('\n')
}

/** The bridges that a runner's chains have rules for. */
export function bridgesIn(table: Table, scope: string): string[] {
  return [...new Set([...ownRules(table, scope).matchAll(/ -[io] (\S+)/g)].map(([, bridge = '']) => bridge))]
}

/**
 * From where a runner's chains are jumped to. Docker keeps `DOCKER-USER` before its own rules; where it has none, as for IPv6 in older
 * versions, there is `FORWARD` itself.
 */
export function hooksOf({ chains }: Table, scope: string): { from: string; to: string }[] {
  const { forward, input } = chainsOf(scope)
  return [
    { from: chains.has('DOCKER-USER') ? 'DOCKER-USER' : 'FORWARD', to: forward },
    { from: 'INPUT', to: input },
  ]
}

/** Whether a jump is there once, and nothing is before it but those of other runners, who want to be first as well. */
export function isHooked({ rules }: Table, { from, to }: { from: string; to: string }): boolean {
  const inChain = rules.filter(rule => rule.startsWith(`-A ${from} `))
  const at = inChain.indexOf(`-A ${from} -j ${to}`)
  return (
    at !== -1 &&
    inChain.slice(0, at).every(rule => rule.startsWith(`-A ${from} -j ${chainPrefix}`)) &&
    !inChain.includes(`-A ${from} -j ${to}`, at + 1)
  )
}

/** Every jump to a runner's chains, from wherever, as lines that delete it. */
export function unhook({ rules }: Table, scope: string): string[] {
  const own = Object.values(chainsOf(scope)).map(chain => `-j ${chain}`)
  return rules
    .filter(rule => own.some(jump => rule.endsWith(jump)) && !rule.startsWith(`-A ${chainPrefix}${scope}-`))
    .map(rule => rule.replace('-A', '-D'))
}
