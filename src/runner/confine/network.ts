import * as v from 'valibot'
import { type Engine, EngineError } from '../docker/engine.ts'
import { askEngine, orNull, tellEngine } from '../docker/json.ts'
import { label } from '../docker/spec.ts'
import type { Network } from './plan.ts'
import { spareSubnets } from './subnets.ts'

/** The name of a bridge's interface (Docker's documentation of the bridge driver). */
const bridgeOption = 'com.docker.network.bridge.name'
/** Networks do not inherit it from the engine's configuration, where only the usual bridge has it. */
const mtuOption = 'com.docker.network.driver.mtu'
/** One container stands on each bridge, or the two of a link. */
const icc = 'com.docker.network.bridge.enable_icc'

const Found = v.object({
  Id: v.string(),
  Name: v.string(),
  Internal: v.optional(v.boolean(), false),
  Options: v.nullish(v.record(v.string(), v.string()), {}),
})
const Inspected = v.object({ Containers: v.nullish(v.record(v.string(), v.unknown()), {}) })

export type FoundNetwork = { id: string; name: string; bridge: string; link: boolean }

/** The interface of the bridge that every engine has; null: this one was told to have none. */
export async function usualBridge(engine: Engine): Promise<string | null> {
  const found = await orNull(askEngine(engine, { method: 'GET', path: '/networks/bridge' }, Found))
  return found?.Options[bridgeOption] ?? null
}

/** This runner's networks that are there, planned ones and those of earlier configurations. */
export async function listNetworks(engine: Engine, scope: string): Promise<FoundNetwork[]> {
  const filters = encodeURIComponent(JSON.stringify({ label: [`${label.scope}=${scope}`] }))
  const found = await askEngine(
    engine,
    { method: 'GET', path: `/networks?filters=${filters}` },
    v.array(Found),
  )
  return found.map(({ Id, Name, Internal, Options }) => ({
    id: Id,
    name: Name,
    bridge: Options[bridgeOption] ?? '',
    link: Internal,
  }))
}

/** Has a network there, and answers its id. */
export async function ensureNetwork(engine: Engine, scope: string, wanted: Network): Promise<string> {
  const found = (await listNetworks(engine, scope)).find(({ name }) => name === wanted.name)
  if (found?.bridge === wanted.bridge && found.link === wanted.link) return found.id
  if (found !== undefined) await removeNetwork(engine, found.id)
  return await create(engine, scope, wanted)
}

async function create(engine: Engine, scope: string, { name, bridge, link }: Network): Promise<string> {
  const mtu = await usualMtu(engine)
  const body = {
    Name: name,
    Driver: 'bridge',
    CheckDuplicate: true,
    // No default route leads over a link, and no port is published there.
    Internal: link,
    Options: { [bridgeOption]: bridge, [icc]: String(link), ...(mtu && { [mtuOption]: mtu }) },
    Labels: { [label.scope]: scope },
  }
  try {
    return await createOne(engine, body)
  } catch (cause) {
    if (!isAbout(cause, /non-overlapping|fully subnetted/))
      throw new Error(`Could not make the network ${name}`, { cause })
  }
  // The engine gives out some thirty by itself.
  for (const Subnet of spareSubnets(bridge)) {
    try {
      return await createOne(engine, { ...body, IPAM: { Config: [{ Subnet }] } })
    } catch (cause) {
      if (!isAbout(cause, /overlap/)) throw new Error(`Could not make the network ${name}`, { cause })
    }
  }
  throw new Error(`Could not make the network ${name}: no subnet is free`)
}

async function createOne(engine: Engine, body: object): Promise<string> {
  const path = '/networks/create'
  const { Id } = await askEngine(engine, { method: 'POST', path, body }, v.object({ Id: v.string() }))
  return Id
}

/** The engine tells its reasons in words alone. */
function isAbout(error: unknown, words: RegExp): boolean {
  return error instanceof EngineError && words.test(error.message)
}

async function usualMtu(engine: Engine): Promise<string | undefined> {
  const path = '/networks/bridge'
  const usual = await orNull(askEngine(engine, { method: 'GET', path }, v.pick(Found, ['Options'])))
  return usual?.Options[mtuOption]
}

/** How many containers are on it at this moment. */
export async function endpointsOf(engine: Engine, id: string): Promise<number> {
  const found = await orNull(askEngine(engine, { method: 'GET', path: `/networks/${id}` }, Inspected))
  return Object.keys(found?.Containers ?? {}).length
}

export async function removeNetwork(engine: Engine, id: string): Promise<void> {
  await orNull(tellEngine(engine, { method: 'DELETE', path: `/networks/${id}` }))
}
