import { isDeepStrictEqual } from 'node:util'
import type { Gpu } from '../../protocol/host.ts'
import type { Container } from '../config/config.ts'
import { assignDevices, type Devices, GpuError, uuidsOf } from './devices.ts'
import type { Query, Sight } from './query.ts'

type Wish = Pick<Container, 'id' | 'gpu'>

export type Gpus = {
  /**
   * Gives these containers what they ask for, those that got it before the same again. `staying`: ids of containers that still run under
   * an earlier configuration, and have what that gave them until they are named no more.
   */
  configure(containers: readonly Wish[], staying?: ReadonlySet<string>): void
  /**
   * What containers of an earlier process have, by id: theirs until `configure` names them in `staying` no more. Before anybody else was
   * given any.
   */
  hold(inUse: ReadonlyMap<string, readonly string[]>): void
  /** Looks anew. One failure is none: the driver is asked again before it is believed. */
  look(): Promise<Sight>
  /** Resolves once there was a look. */
  looked(): Promise<void>
  /** As they were last seen. */
  seen(): readonly Gpu[]
  /** All that were seen since the start, by UUID. */
  known(): ReadonlyMap<string, Gpu>
  /** What a container gets, once there was a look. @throws GpuError when it cannot have it. */
  devicesOf(container: Pick<Container, 'id'>): Promise<Devices>
  /** What each container was given; nothing before the first look. */
  given(): ReadonlyMap<string, Devices>
  /**
   * Those that each container was given, of all that were seen since the start; null: the driver has not told yet. `elsewhere`: containers
   * that the runner does not start, which are taken at their word.
   */
  knownByContainer(elsewhere: readonly Wish[]): ReadonlyMap<string, readonly Gpu[]> | null
}

export function createGpus(query: Query): Gpus {
  let wishes: readonly Wish[] = []
  const known = new Map<string, Gpu>()
  let seen: readonly Gpu[] = []
  /** What the driver has told last; text: why it has told nothing so far; null: there is none to ask here. */
  let there: readonly Gpu[] | string | null = null
  let assigned: Map<string, Devices | GpuError> | null = null
  /** By id, what containers that run on were given. */
  let held = new Map<string, readonly string[]>()
  let looking: Promise<Sight> | null = null
  let hasTold = false

  function take(sight: Sight): Sight {
    seen = sight.kind === 'seen' ? sight.gpus : []
    const wasBlind = typeof there === 'string'
    if (sight.kind === 'seen') there = sight.gpus
    else if (assigned === null || wasBlind) there = sight.kind === 'failed' ? sight.error : null
    if (sight.kind !== 'failed') hasTold = true
    const isNew = seen.some(({ uuid }) => !known.has(uuid))
    for (const gpu of seen) known.set(gpu.uuid, gpu)
    // What was given stays given: one that is lost is missed, and not replaced by another container's.
    if (assigned === null || isNew || wasBlind)
      assigned = assignDevices(wishes, there, { before: given(), held })
    return sight
  }

  async function ask(): Promise<Sight> {
    const sight = await query()
    return take(sight.kind === 'failed' ? await query() : sight)
  }

  /** One at a time: who comes meanwhile is told the same. */
  async function look(): Promise<Sight> {
    looking ??= ask().finally(() => {
      looking = null
    })
    return await looking
  }

  async function looked(): Promise<void> {
    if (assigned === null) await look()
  }

  function given(): Map<string, Devices> {
    const all = [...(assigned ?? [])]
    return new Map(all.flatMap(([id, devices]) => (devices instanceof GpuError ? [] : [[id, devices]])))
  }

  return {
    configure(containers, staying = new Set()) {
      const asBefore = containers.filter(({ id, gpu }) =>
        wishes.some(wish => wish.id === id && isDeepStrictEqual(wish.gpu, gpu)),
      )
      wishes = containers
      const before = given()
      held = new Map(
        [...staying].map(id => [id, [...(held.get(id) ?? []), ...uuidsOf(before.get(id) ?? 'none')]]),
      )
      if (assigned === null) return
      const kept = asBefore.flatMap(({ id }): [string, Devices][] => {
        const devices = before.get(id)
        return devices === undefined ? [] : [[id, devices]]
      })
      assigned = assignDevices(containers, there, { before: new Map(kept), held })
    },
    hold(inUse) {
      held = new Map([...held, ...inUse])
      if (assigned !== null) assigned = assignDevices(wishes, there, { held })
    },
    look,
    looked,
    seen: () => seen,
    known: () => known,
    async devicesOf({ id }) {
      await looked()
      // Until the driver has told something, whoever waits for that asks it again.
      if (typeof there === 'string' && assigned?.get(id) instanceof GpuError) await look()
      const devices = assigned?.get(id) ?? 'none'
      if (devices instanceof GpuError) throw devices
      return devices
    },
    given,
    knownByContainer(elsewhere) {
      if (!hasTold) return null
      const all = [...known.values()]
      const claimed = assignDevices(
        elsewhere.filter(({ gpu }) => typeof gpu === 'boolean' || 'devices' in gpu),
        all,
      )
      const those = (devices: Devices | GpuError) => {
        if (devices === 'all') return all
        return devices instanceof GpuError ? [] : all.filter(({ uuid }) => uuidsOf(devices).includes(uuid))
      }
      return new Map([...claimed, ...given()].map(([id, devices]) => [id, those(devices)]))
    },
  }
}
