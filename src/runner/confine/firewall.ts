import type { Iptables } from './iptables.ts'
import type { Bridge } from './plan.ts'
import { chainsOf, rulesOf } from './ruleset.ts'
import { hooksOf, isHooked, ownRules, parseTable, type Table, unhook } from './table.ts'

export type Firewall = {
  /**
   * Has exactly these bridges' rules in place. Answers whether somebody had changed them since the last time.
   * @throws Error when they cannot be put there; what was there stays.
   */
  hold(bridges: readonly Bridge[]): Promise<{ healed: boolean }>
  /** Takes the runner's chains away, those of an earlier process included. */
  remove(): Promise<void>
}

export type FirewallOptions = {
  scope: string
  tables: readonly Iptables[]
  nameservers: () => Promise<readonly string[]>
}

/** A runner's part of the host's firewall: chains that bear its scope, so that runners on one host do not meet. */
export function createFirewall({ scope, tables, nameservers }: FirewallOptions): Firewall {
  /** What each table was told last, and how that reads. */
  const held = new Map<Iptables, { told: string; reads: string }>()

  async function holdOne(iptables: Iptables, bridges: readonly Bridge[], servers: readonly string[]) {
    const { family, layer } = iptables
    const rules = rulesOf({ scope, family, layer, bridges, nameservers: servers })
    const told = rules.join('\n')
    const before = parseTable(await iptables.save())
    const last = held.get(iptables)
    const stands =
      last !== undefined &&
      ownRules(before, scope) === last.reads &&
      hooksOf(before, scope).every(hook => isHooked(before, hook))
    if (stands && last.told === told) return false
    await iptables.restore([...declared(), ...rules, ...unhook(before, scope), ...hooked(before)])
    held.set(iptables, { told, reads: ownRules(parseTable(await iptables.save()), scope) })
    return last !== undefined && !stands
  }

  /** Declaring a chain empties it. */
  const declared = () => Object.values(chainsOf(scope)).map(chain => `:${chain} - [0:0]`)
  const hooked = (table: Table) => hooksOf(table, scope).map(({ from, to }) => `-I ${from} 1 -j ${to}`)

  return {
    async hold(bridges) {
      const servers = await nameservers()
      let healed = false
      for (const iptables of tables) if (await holdOne(iptables, bridges, servers)) healed = true
      return { healed }
    },
    async remove() {
      for (const iptables of tables) {
        const table = parseTable(await iptables.save())
        const own = Object.values(chainsOf(scope)).filter(chain => table.chains.has(chain))
        if (own.length > 0)
          await iptables.restore([
            ...unhook(table, scope),
            ...own.map(chain => `-F ${chain}`),
            ...own.map(chain => `-X ${chain}`),
          ])
        held.delete(iptables)
      }
    },
  }
}
