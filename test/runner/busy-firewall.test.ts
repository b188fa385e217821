import { describe, expect, onTestFinished, test } from 'vitest'
import { parseConfig } from '../../src/runner/config/load.ts'
import { createConfinement } from '../../src/runner/confine/confine.ts'
import type { Iptables } from '../../src/runner/confine/iptables.ts'
import { placeOf } from '../../src/runner/confine/plan.ts'
import { createEngine } from '../../src/runner/docker/engine.ts'
import { startFakeEngine } from './fake-engine.ts'
import { eventually } from './setup.ts'

/** Somebody else is busy with the firewall, for a moment or for long: what stands stands, and nobody begins without rules. */

/** A table as the kernel keeps one, in memory. */
function createTable(layer: Iptables['layer']) {
  const usual = [':FORWARD ACCEPT [0:0]', ':INPUT ACCEPT [0:0]']
  let lines = [...usual]
  const state = { failure: null as string | null, restored: () => {} }
  const refusal = layer === 'filter' ? 'REJECT' : 'DROP'

  function take(line: string): void {
    const chain = /^:(\S+)/.exec(line)?.[1]
    if (chain !== undefined)
      lines = [...lines.filter(one => !one.startsWith(`-A ${chain} `) && !one.startsWith(`:${chain} `)), line]
    else if (line.startsWith('-D')) lines = lines.filter(one => one !== line.replace('-D', '-A'))
    else lines.push(line.replace(/^-I (\S+) 1/, '-A $1'))
  }

  const iptables: Iptables = {
    family: 4,
    layer,
    save: async () => lines.join('\n'),
    async restore(told) {
      if (state.failure !== null) throw new Error(state.failure)
      for (const line of told) take(line)
      state.restored()
    },
  }
  return {
    state,
    iptables,
    /** Answers what puts it back as it was. */
    flush() {
      const before = lines
      lines = [...usual]
      return () => {
        lines = before
      }
    },
    mentions: (bridge: string) => lines.some(line => line.includes(bridge)),
    closes: (bridge: string) =>
      lines.some(line => line.includes(`-i ${bridge} ! -o ${bridge} -j ${refusal}`)),
  }
}

type Tables = [filter: ReturnType<typeof createTable>, floor: ReturnType<typeof createTable>]

/** `tables`: of a host where an earlier process has set rules. */
async function start(tables: Tables = [createTable('filter'), createTable('floor')]) {
  const fake = await startFakeEngine()
  const engine = createEngine(fake.dockerHost)
  const controller = new AbortController()
  onTestFinished(async () => {
    controller.abort()
    await engine.close()
  })
  const [filter, floor] = tables
  const logged: string[] = []
  const say = (event: string) => void logged.push(event)
  const time = { now: 0 }
  const confinement = createConfinement({
    scope: 'mine',
    engine,
    log: { debug: say, info: say, warn: say, error: say },
    signal: controller.signal,
    now: () => time.now,
    host: {
      platform: 'linux',
      uid: 0,
      mayChangeNetwork: true,
      dockerHost: null,
      tables: tables.map(({ iptables }) => iptables),
      nameservers: async () => [],
      hasInterface: async () => true,
      realPath: path => path,
    },
  })

  function configure(entries: object[], root: object = {}) {
    const containers = entries.map(entry => ({ image: 'i', ...entry }))
    const source = JSON.stringify({ edge: { url: 'http://edge', key_file: 'key' }, ...root, containers })
    const { config } = parseConfig(source, { path: '/config.json', env: {} })
    confinement.configure(config, config.containers)
    return config.containers.map(container => ({
      place: () => confinement.place(container),
      refusal: () => confinement.refusal(container),
      bridge: placeOf('mine', container, []).own.bridge,
    }))
  }

  function fail(failure: string | null): void {
    for (const { state } of tables) state.failure = failure
  }

  return {
    confinement,
    configure,
    engine: fake.state,
    tables,
    filter,
    floor,
    logged,
    time,
    fail,
    beBusy: (isBusy: boolean) => fail(isBusy ? why : null),
    networks: () => fake.asked('/networks/create').length,
    problems: () => confinement.problems().map(({ container, what }) => `${container}: ${what}`),
  }
}

const none = (id: string, more: object = {}) => ({ id, egress: 'none', ...more })
const required = { require_isolation: true }
const why = 'iptables-restore: the xtables lock is held'
const lost = `it may not run, as isolation is required: egress "none" is not kept: ${why}`
const notYet = { code: 'not_isolated', message: `its firewall rules are not in place: ${why}` }

test.for([{}, required])(
  'behavior: with %j one that comes has no network before it has its rules',
  async root => {
    const { configure, beBusy, filter, floor, networks, problems, logged } = await start()
    await configure([none('old')], root)[0]?.place()
    const [old, next] = configure([none('old'), none('next')], root)
    beBusy(true)
    const before = networks()
    await expect(next?.place()).rejects.toMatchObject(notYet)
    expect(networks()).toBe(before)
    expect(problems()).toEqual([`next: egress "none" is not kept: ${why}`])
    expect(logged).toContain('A container is not isolated')
    // What stands goes on, and begins anew when it has crashed.
    expect(old?.refusal()).toBe(null)
    await old?.place()
    beBusy(false)
    await next?.place()
    expect([filter, floor].map(table => table.mentions(next?.bridge ?? ''))).toEqual([true, true])
    expect(problems()).toEqual([])
    expect(logged).toContain('Containers are kept in their place again')
  },
)

test('behavior: nor does the end of a link that is not there yet', async () => {
  const { configure, beBusy, problems } = await start()
  const [first] = configure([none('old')], required)
  await first?.place()
  const [old, next] = configure([none('old'), none('next', { links: ['old'] })], required)
  beBusy(true)
  for (const one of [old, next]) await expect(one?.place()).rejects.toMatchObject(notYet)
  // It is not on the link so far.
  expect(old?.refusal()).toBe(null)
  expect(problems()).toEqual([`next: egress "none" is not kept: ${why}`])
})

test('behavior: a stricter egress that is not in place is told, and refused where isolation is required', async () => {
  const { configure, beBusy, problems } = await start()
  const open = ['a', 'b', 'c'].map(id => ({ id, egress: 'open' }))
  for (const { place } of configure(open, required)) await place()
  beBusy(true)
  const stricter = [none('a'), { id: 'b', egress: 'public' }, { id: 'c', egress: 'open' }]
  const [a, b, c] = configure(stricter, required)
  await expect(a?.place()).rejects.toMatchObject(notYet)
  const told = ['a: egress "none" is not kept: ', 'b: egress "public" is not kept: '].map(
    begin => begin + why,
  )
  expect(problems()).toEqual(told)
  expect([a, b, c].map(one => one?.refusal())).toEqual([
    expect.stringContaining(why),
    expect.stringContaining(why),
    null,
  ])
  beBusy(false)
  await a?.place()
  expect([a, b, c].map(one => one?.refusal())).toEqual([null, null, null])
  // What stands is stricter than what is asked for.
  beBusy(true)
  const [looser] = configure([{ id: 'a', egress: 'public' }, ...stricter.slice(1)], required)
  await looser?.place()
  expect(problems()).toEqual([])
})

test('behavior: a table that fails leaves no other one without rules', async () => {
  const { configure, filter, floor } = await start()
  await configure([none('old')])[0]?.place()
  filter.state.failure = why
  const [, next] = configure([none('old'), none('next')])
  await expect(next?.place()).rejects.toMatchObject(notYet)
  expect(filter.mentions(next?.bridge ?? '')).toBe(false)
  expect(floor.mentions(next?.bridge ?? '')).toBe(true)
})

test('behavior: rules that are gone and cannot be put back are believed for half a minute, and nobody begins', async () => {
  const { configure, beBusy, filter, problems, time } = await start()
  const [old] = configure([none('old')], required)
  await old?.place()
  filter.flush()
  beBusy(true)
  // However often it is tried.
  for (let tries = 0; tries < 5; tries++) await expect(old?.place()).rejects.toMatchObject(notYet)
  time.now = 29_999
  await expect(old?.place()).rejects.toMatchObject(notYet)
  expect([old?.refusal(), problems()]).toEqual([null, []])
  time.now = 30_000
  await expect(old?.place()).rejects.toMatchObject(notYet)
  expect(old?.refusal()).toBe(lost)
  beBusy(false)
  await old?.place()
  expect([old?.refusal(), problems()]).toEqual([null, []])
})

test('behavior: however long that lasts, where isolation is not required', async () => {
  const { configure, beBusy, filter, problems, time } = await start()
  const [old] = configure([none('old')])
  await old?.place()
  filter.flush()
  beBusy(true)
  for (const now of [0, 30_000, 3_600_000]) {
    time.now = now
    await expect(old?.place()).rejects.toMatchObject(notYet)
  }
  expect(problems()).toEqual([`old: egress "none" is not kept: ${why}`])
  beBusy(false)
  await old?.place()
})

describe('at the start', () => {
  test.for([{}, required])(
    'behavior: with %j a firewall that is busy is waited for, and nobody begins',
    async root => {
      const { configure, beBusy, networks, problems, time } = await start()
      const [one] = configure([none('one')], root)
      beBusy(true)
      for (const now of [0, 15_000, 29_999]) {
        time.now = now
        await expect(one?.place()).rejects.toMatchObject(notYet)
      }
      // What an earlier process has left running may have its rules.
      expect([networks(), one?.refusal(), problems()]).toEqual([0, null, []])
      beBusy(false)
      await one?.place()
      expect([networks(), problems()]).toEqual([1, []])
    },
  )

  test('behavior: one that takes no rules for half a minute takes none, and that is told', async () => {
    const { configure, beBusy, problems, time } = await start()
    const [one] = configure([none('one')])
    beBusy(true)
    await expect(one?.place()).rejects.toMatchObject(notYet)
    time.now = 30_000
    await one?.place()
    expect(problems()).toEqual([`one: egress "none" is not kept: ${why}`])
    const [strict] = configure([none('one')], required)
    await expect(strict?.place()).rejects.toMatchObject({ code: 'not_isolated', message: lost })
    // Where rules have stood nobody begins without them.
    beBusy(false)
    await strict?.place()
    beBusy(true)
    const [, next] = configure([none('one'), none('next')])
    time.now = 90_000
    await expect(next?.place()).rejects.toMatchObject(notYet)
  })

  test.for([
    'iptables-restore is not installed',
    "iptables-save: Table `filter' does not exist",
    "iptables-save: can't initialize iptables table `security': Table does not exist (do you need to insmod?)",
    'iptables-save: iptables-save v1.8.4 (legacy): Cannot initialize: iptables who? (do you need to insmod?)',
    'iptables-restore: Permission denied (you must be root)',
    "iptables-restore: Fatal: can't open lock file /run/xtables.lock: Read-only file system",
    'iptables-restore: line 4: RULE_APPEND failed (Operation not supported): rule in chain INFERNET-mine-INPUT',
    'spawn iptables-save EACCES',
  ])('behavior: one that says %j is believed at once', async what => {
    const { configure, fail, problems } = await start()
    const [one] = configure([none('one')])
    fail(what)
    await one?.place()
    expect(problems()).toEqual([`one: egress "none" is not kept: ${what}`])
  })

  test('behavior: a family that has no rules at all keeps nobody from waiting for another', async () => {
    const { configure, filter, floor, time } = await start()
    filter.state.failure = 'ip6tables-restore is not installed'
    const [one] = configure([none('one')])
    await one?.place()
    floor.state.failure = why
    const [, next] = configure([none('one'), none('next')])
    time.now = 60_000
    await expect(next?.place()).rejects.toMatchObject({ code: 'not_isolated' })
    floor.state.failure = null
    await next?.place()
  })
})

describe('what an earlier process has left', () => {
  /** The engine refuses, and the second process has set the rules that it knows of. */
  async function startAgain(flush: (tables: Tables) => void = () => {}) {
    const first = await start()
    const left = first.configure([none('old'), { id: 'open', egress: 'open' }])
    for (const { place } of left) await place()
    flush(first.tables)
    const second = await start(first.tables)
    second.engine.refuses = () => 'it is being upgraded'
    const [next] = second.configure([none('next')], required)
    const setRules = async () => {
      void second.confinement.watch()
      await eventually(() => first.tables.every(table => table.closes(next?.bridge ?? '')))
    }
    await setRules()
    const closed = () => first.tables.map(table => left.map(({ bridge }) => table.closes(bridge)))
    return { ...second, left, next, setRules, closed }
  }

  test('behavior: it leads nowhere until the engine has told what is there', async () => {
    const { engine, tables, left, next, setRules, closed, problems } = await startAgain()
    const all = [
      [true, true],
      [true, true],
    ]
    expect([closed(), problems()]).toEqual([all, []])
    for (const table of tables) table.flush()
    await setRules()
    expect(closed()).toEqual(all)
    engine.refuses = () => null
    // There is nothing.
    await next?.place()
    const named = ({ bridge }: { bridge: string }) => tables.some(table => table.mentions(bridge))
    expect(left.filter(named)).toEqual([])
  })

  test('behavior: a table that names it keeps it closed, whatever became of the other', async () => {
    const { closed } = await startAgain(([filter]) => filter.flush())
    expect(closed()).toEqual([
      [false, false],
      [true, true],
    ])
  })
})

test('behavior: rules that somebody else puts back stand', async () => {
  const { configure, beBusy, filter } = await start()
  const [old] = configure([none('old')])
  await old?.place()
  beBusy(true)
  const putBack = filter.flush()
  await expect(old?.place()).rejects.toMatchObject(notYet)
  putBack()
  await old?.place()
})

test('behavior: rules that were put back stand, though nobody could see it at first', async () => {
  const { configure, filter } = await start()
  const [old] = configure([none('old')])
  await old?.place()
  filter.flush()
  const { save } = filter.iptables
  filter.state.restored = () => {
    filter.iptables.save = async () => {
      filter.iptables.save = save
      throw new Error(why)
    }
  }
  await expect(old?.place()).rejects.toMatchObject(notYet)
  await old?.place()
})

test('behavior: one that still runs under the last configuration begins anew under the rules of this one', async () => {
  const { configure } = await start()
  const [old] = configure([none('one')], required)
  await old?.place()
  configure([{ id: 'one', egress: 'public' }], required)
  await old?.place()
})

test('behavior: a configuration that comes while rules are being set has its own', async () => {
  const { configure, filter } = await start()
  const [old] = configure([none('old')])
  const { save } = filter.iptables
  filter.iptables.save = async () => {
    filter.iptables.save = save
    configure([none('old'), none('next', { links: ['old'] })])
    return await save()
  }
  expect(await old?.place()).toMatchObject({ joined: [{ alias: 'old' }] })
})

test('behavior: one that the configuration does not name any more does not begin', async () => {
  const { configure } = await start()
  const [, gone] = configure([none('old'), none('gone')])
  configure([none('old')])
  const message = 'its firewall rules are not in place: the configuration has changed meanwhile'
  await expect(gone?.place()).rejects.toMatchObject({ code: 'not_isolated', message })
})
