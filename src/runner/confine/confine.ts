import { aborted } from '../aborted.ts'
import { DownError } from '../cause.ts'
import type { Config, Container } from '../config/config.ts'
import type { Engine } from '../docker/engine.ts'
import type { Standing } from '../docker/spec.ts'
import type { Log } from '../log.ts'
import { sleep } from '../sleep.ts'
import { messageOf } from '../trouble.ts'
import { createFirewall, type Firewall } from './firewall.ts'
import type { Host } from './host.ts'
import { mayPass, patienceMs } from './iptables.ts'
import { endpointsOf, ensureNetwork, type FoundNetwork, listNetworks, removeNetwork } from './network.ts'
import { type Network, networksOf, ownNetwork, placeOf } from './plan.ts'
import { bridgesElsewhere, type IsolationProblem, isolationProblems, obstacleOf } from './problems.ts'

export type Confinement = {
  /**
   * Keeps these containers in their place from here on: those of a configuration, and those of the last one that still have jobs in hand,
   * whose networks stay as they are for so long.
   */
  configure(config: Pick<Config, 'requireIsolation'>, containers: readonly Container[]): void
  /**
   * Has the networks of a container there, with the rules in place before them.
   * @throws Error when a network cannot be made, or after `end`; DownError when the container may not run here, see `refusal`, and when
   * its rules cannot be set at this moment, on a host where they could.
   */
  place(container: Container): Promise<Standing>
  /** Why a container may not run, where isolation is required; null: it may. */
  refusal(container: Container): string | null
  /** In what the containers are not kept in their place. */
  problems(): IsolationProblem[]
  /** Tells of problems, and heals the rules until the signal aborts. */
  watch(): Promise<void>
  /** Takes the rules away, unless a container of this runner still runs. Nothing may be on its way to its start any more. */
  end(): Promise<void>
}

export type ConfinementOptions = {
  /** Of the names of this runner's containers and networks. */
  scope: string
  engine: Engine
  host: Host
  log: Log
  signal: AbortSignal
  /** In milliseconds, of a clock that only goes forward. */
  now?: () => number
}

/** Whatever flushes a firewall (a reload of firewalld, a script) opens the containers for so long. */
const healMs = 15_000
const endMs = 10_000

/** The bridges of a configuration whose rules could not be set while those of others stand, and why. */
type Lacking = { bridges: ReadonlySet<string>; why: string }

export function createConfinement(options: ConfinementOptions): Confinement {
  const { scope, engine, host, log, signal, now = () => performance.now() } = options
  const firewall = createFirewall({ scope, tables: host.tables, nameservers: host.nameservers, now })
  const obstacle = obstacleOf(host)
  const inTurn = createTurns()
  /** Apart from the engine's turn, which may take long. */
  const atFirewall = createTurns()
  let config: Pick<Config, 'containers' | 'requireIsolation'> = { containers: [], requireIsolation: false }
  let planned: Network[] = []
  /** Why the rules do not stand; undefined: nobody has tried yet, or not for long. */
  let unheld: string | null | undefined = obstacle?.what
  /** Null: the rules of all stand, or of none, see `unheld`. */
  let lacking: Lacking | null = null
  /** Why the rules could not be set when it was last tried; null: they could. */
  let failure: string | null = null
  /** The networks that the engine had when it was last asked; null: it has not answered yet. */
  let found: readonly FoundNetwork[] | null = null
  /** Why rules set here are of no use; null: they are, or nothing shows that they are not. */
  let astray: string | null = null
  let tidying: Promise<void> | null = null
  let failingSince: number | null = null
  let ended = false
  let told = ''

  const problems = () => isolationProblems(config, host, whyNot)

  function whyNot(container: Container): string | null {
    if (lacking?.bridges.has(ownNetwork(scope, container).bridge)) return lacking.why
    return unheld ?? null
  }

  function tell(): void {
    const missed = problems()
    const text = JSON.stringify(missed)
    if (text === told) return
    told = text
    for (const { container, what, fix } of missed.filter(({ asked }) => asked))
      log.warn('A container is not isolated', { container, what, fix })
    const usual = missed.filter(({ asked }) => !asked)
    const ids = usual.map(({ container }) => container)
    if (usual[0])
      log.warn('Containers reach more than the internet', {
        containers: ids.join(),
        what: usual[0].what,
        fix: usual[0].fix,
      })
  }

  function settle(why: string | null, lacks: Lacking | null): void {
    if (why === unheld && lacks === null && lacking === null) return
    const wasOpen = Boolean(unheld) || lacking !== null
    unheld = why
    lacking = lacks
    if (wasOpen && why === null && lacks === null) log.info('Containers are kept in their place again')
    tell()
  }

  const left = () => found?.filter(({ name }) => !planned.some(network => network.name === name)) ?? null

  /**
   * Has the rules of what is configured, and of what an earlier configuration has left: nothing of that leads anywhere. The engine is not
   * asked: containers run on without it.
   */
  async function setRules(): Promise<void> {
    if (obstacle !== null || ended) return
    const closed = left()?.flatMap(({ bridge }) => (bridge === '' ? [] : [bridge])) ?? null
    const set = astray === null ? await firewall.hold(planned, closed) : await removed()
    if (set.healed) log.warn('The firewall rules of containers had been changed, and are in place again')
    failure = set.failure
    if (failure === null) failingSince = null
    else failingSince ??= now()
    if (failure === null || !mayStand(failure)) settle(failure ?? astray, null)
    // What an earlier process has set nobody can see.
    else if (unheld === null) settle(null, lackingBy(failure))
  }

  /** What stood a moment ago stands, and what an earlier process has left may: somebody else may be busy with the table. */
  function mayStand(why: string): boolean {
    const forMs = failingSince === null ? 0 : now() - failingSince
    if (astray !== null || forMs >= patienceMs) return false
    return unheld === null || (unheld === undefined && mayPass(why))
  }

  function lackingBy(why: string): Lacking | null {
    const bridges = planned.filter(network => !firewall.has(network)).map(({ bridge }) => bridge)
    return bridges.length === 0 ? null : { bridges: new Set(bridges), why }
  }

  async function removed(): ReturnType<Firewall['hold']> {
    return await firewall.remove().then(
      () => ({ healed: false, failure: null }),
      (error: unknown) => ({ healed: false, failure: messageOf(error) }),
    )
  }

  /** Of a container that is about to be replaced the rules are those of the next one already. */
  function stand(networks: readonly Network[]): boolean {
    return networks
      .map(one => planned.find(({ bridge }) => bridge === one.bridge) ?? one)
      .every(firewall.stands)
  }

  const hold = () => atFirewall(setRules)

  /** Asks the engine for what an earlier configuration has left, and for whether the rules are where the bridges are. */
  async function look(): Promise<void> {
    if (obstacle !== null) return
    found = await listNetworks(engine, scope)
    astray = await whereElse(found)
  }

  /** Removes networks that nobody wants; the engine refuses while a container runs there. In nobody's way, however long it takes. */
  function tidy(): Promise<void> {
    tidying ??= removeLeft().finally(() => {
      tidying = null
    })
    return tidying
  }

  async function removeLeft(): Promise<void> {
    // It may be wanted again by now.
    for (const { id, name } of left() ?? [])
      if (left()?.some(network => network.name === name)) await removeNetwork(engine, id).catch(() => {})
  }

  /** Rules in one place do nothing for bridges in another: an engine without root, or a runner in a container. */
  async function whereElse(networks: readonly FoundNetwork[]): Promise<string | null> {
    const made = networks.filter(({ bridge }) => bridge !== '')
    const here = await Promise.all(made.map(({ bridge }) => host.hasInterface(bridge)))
    if (made.length === 0 || here.some(Boolean)) return null
    return bridgesElsewhere
  }

  function refusal(container: Container): string | null {
    if (!config.requireIsolation) return null
    const problem = problems().find(one => one.container === container.id)
    return problem ? `it may not run, as isolation is required: ${problem.what}` : null
  }

  /**
   * Whoever began without its rules would be open until the next look. A table that has taken some does so again, however long it fails: it is
   * waited for. Where none can be set at all that is told, and refused where isolation is required.
   */
  async function demandRules(networks: readonly Network[]): Promise<void> {
    const stood = () => obstacle !== null || astray !== null || stand(networks)
    if (stood()) return
    // Those of a configuration that came meanwhile.
    if (failure === null) await hold()
    if (stood()) return
    const why = failure ?? (ended ? 'the runner ends' : 'the configuration has changed meanwhile')
    throw new DownError('not_isolated', `its firewall rules are not in place: ${why}`)
  }

  async function standing(container: Container): Promise<Standing> {
    if (ended) throw new Error('The runner has ended, and sets no rules any more')
    await look()
    await hold()
    const { own, joints } = placeOf(scope, container, config.containers)
    await demandRules([own, ...joints.map(({ network }) => network)])
    const ownId = await ensureNetwork(engine, scope, own)
    const joined = []
    for (const { network, alias } of joints)
      joined.push({ network: network.name, id: await ensureNetwork(engine, scope, network), alias })
    // There may have been no bridge yet to be looked for.
    await look()
    if (astray !== null) await hold()
    const why = refusal(container)
    if (why !== null) throw new DownError('not_isolated', why)
    return { network: own.name, id: ownId, joined }
  }

  async function removeRules(): Promise<void> {
    await look()
    await tidy()
    for (const { id } of await listNetworks(engine, scope)) if ((await endpointsOf(engine, id)) > 0) return
    await atFirewall(() => firewall.remove())
  }

  async function lookAround(): Promise<void> {
    // An engine that is away is told of by those who bring containers up.
    await inTurn(look).catch((error: unknown) =>
      log.debug('The networks of containers were not looked at', { error: messageOf(error) }),
    )
    void tidy()
  }

  async function again(work: () => Promise<void>): Promise<void> {
    do {
      await work()
      await sleep(healMs, signal)
    } while (!signal.aborted)
  }

  return {
    configure({ requireIsolation }, containers) {
      config = { requireIsolation, containers: [...containers] }
      planned = networksOf(scope, config)
      // Else a look tells.
      if (unheld !== undefined) tell()
    },
    async place(container) {
      const place = await inTurn(() => standing(container))
      void tidy()
      return place
    },
    refusal,
    problems,
    async watch() {
      if (obstacle !== null) return await aborted(signal)
      // First: whether rules are of any use here, and what of an earlier process is still there.
      await lookAround()
      // Side by side: an engine that hangs keeps no rule from being healed.
      await Promise.all([again(hold), again(lookAround)])
    },
    async end() {
      ended = true
      // An engine that hangs is given up: the end of a runner waits for this.
      if (obstacle === null) await Promise.race([inTurn(removeRules), sleep(endMs)])
    },
  }
}

/** One after another: two that make one network at once would make two. */
function createTurns() {
  let last: Promise<unknown> = Promise.resolve()
  return <T>(work: () => Promise<T>): Promise<T> => {
    const turn = last.then(work)
    last = turn.catch(() => {})
    return turn
  }
}
