import type { Egress } from '../config/confinement.ts'
import { messageOf } from '../trouble.ts'
import { type Iptables, mayPass, patienceMs } from './iptables.ts'
import type { Bridge } from './plan.ts'
import { chainsOf, rulesOf } from './ruleset.ts'
import { bridgesIn, hooksOf, isHooked, ownRules, parseTable, type Table, unhook } from './table.ts'

export type Firewall = {
  /**
   * Has exactly the rules of these bridges in place: those planned, and those `left`, of which nothing leads anywhere. `healed`: somebody had
   * changed them since the last time. `failure`: why a table did not take them, and has what it had; every other table has them all the same.
   */
  hold(planned: readonly Bridge[], left: Left): Promise<{ healed: boolean; failure: string | null }>
  /** Whether every table has taken a bridge's rules, or stricter ones, and was not told to let it go. */
  has(bridge: Bridge): boolean
  /**
   * The same of the tables that take rules at all, and none of them was seen without its rules since. One does not that has never taken any,
   * and says that it cannot, or has failed for `patienceMs`.
   */
  stands(bridge: Bridge): boolean
  /** Takes the runner's chains away, those of an earlier process included. */
  remove(): Promise<void>
}

/** Bridges of an earlier configuration; null: nobody knows which are there, and so whatever bridge a table has rules for is one. */
export type Left = readonly string[] | null

export type FirewallOptions = {
  scope: string
  tables: readonly Iptables[]
  nameservers: () => Promise<readonly string[]>
  /** In milliseconds, of a clock that only goes forward. */
  now?: () => number
}

/** What a table was told last, and how that reads. */
type Held = { told: string; reads: string; egress: ReadonlyMap<string, Egress> }

type Wanted = { planned: readonly Bridge[]; left: Left; nameservers: readonly string[] }

/** By how little leaves. */
const strictness: Record<Egress, number> = { open: 0, public: 1, none: 2 }

/** A runner's part of the host's firewall: chains that bear its scope, so that runners on one host do not meet. */
export function createFirewall(options: FirewallOptions): Firewall {
  const { scope, tables, nameservers, now = () => performance.now() } = options
  const held = new Map<Iptables, Held>()
  /** In which rules were seen to be gone, or changed, and could not be put back. */
  const open = new Set<Iptables>()
  /** When a table failed first, and whether it may take rules yet. Nothing of it counts for one that has taken some. */
  const failing = new Map<Iptables, { sinceMs: number; mayPass: boolean }>()
  const proven = new Set<Iptables>()

  async function holdOne(iptables: Iptables, { planned, left, nameservers }: Wanted): Promise<boolean> {
    const { family, layer } = iptables
    const before = parseTable(await iptables.save())
    const last = held.get(iptables)
    // What was told counts as well: somebody may have flushed the table since.
    const closed = new Set(left ?? [...bridgesIn(before, scope), ...(last?.egress.keys() ?? [])])
    for (const { bridge } of planned) closed.delete(bridge)
    const bridges = [...planned, ...[...closed].map((bridge): Bridge => ({ bridge, egress: 'none' }))]
    const rules = rulesOf({ scope, family, layer, bridges, nameservers })
    const told = rules.join('\n')
    const stands =
      last !== undefined &&
      ownRules(before, scope) === last.reads &&
      hooksOf(before, scope).every(hook => isHooked(before, hook))
    // Whoever had changed them may have put them back, or they were and nobody could see it.
    if (stands) open.delete(iptables)
    else open.add(iptables)
    if (stands && last.told === told) return false
    await iptables.restore([...declared(), ...rules, ...unhook(before, scope), ...hooked(before)])
    held.set(iptables, {
      told,
      reads: ownRules(parseTable(await iptables.save()), scope),
      egress: new Map(bridges.map(({ bridge, egress }) => [bridge, egress])),
    })
    open.delete(iptables)
    proven.add(iptables)
    return last !== undefined && !stands
  }

  function failed(iptables: Iptables, why: string): void {
    const sinceMs = failing.get(iptables)?.sinceMs ?? now()
    failing.set(iptables, { sinceMs, mayPass: mayPass(why) })
  }

  function takesRules(iptables: Iptables): boolean {
    const failure = failing.get(iptables)
    if (proven.has(iptables) || failure === undefined) return true
    return failure.mayPass && now() - failure.sinceMs < patienceMs
  }

  /** Declaring a chain empties it. */
  const declared = () => Object.values(chainsOf(scope)).map(chain => `:${chain} - [0:0]`)
  const hooked = (table: Table) => hooksOf(table, scope).map(({ from, to }) => `-I ${from} 1 -j ${to}`)

  function keeps(table: Iptables, { bridge, egress }: Bridge): boolean {
    const kept = held.get(table)?.egress.get(bridge)
    return kept !== undefined && strictness[kept] >= strictness[egress]
  }

  return {
    async hold(planned, left) {
      const wanted = { planned, left, nameservers: await nameservers() }
      let healed = false
      let failure: string | null = null
      // One that fails is no reason to leave the next one open.
      for (const iptables of tables) {
        try {
          if (await holdOne(iptables, wanted)) healed = true
        } catch (error) {
          failed(iptables, messageOf(error))
          failure ??= messageOf(error)
        }
      }
      return { healed, failure }
    },
    has: bridge => tables.every(table => keeps(table, bridge)),
    stands: bridge => tables.filter(takesRules).every(table => keeps(table, bridge) && !open.has(table)),
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
        open.delete(iptables)
      }
    },
  }
}
