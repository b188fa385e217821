import * as v from 'valibot'
import { uuidsOf } from '../gpu/devices.ts'
import type { Engine } from './engine.ts'
import { askEngine, orNull } from './json.ts'
import { listLabelled } from './own.ts'
import { nameOf } from './spec.ts'

const Requested = v.object({
  State: v.object({ Running: v.boolean() }),
  HostConfig: v.object({
    DeviceRequests: v.nullish(v.array(v.object({ DeviceIDs: v.nullish(v.array(v.string()), []) })), []),
  }),
})

/**
 * By id, what containers that run with this runner's labels were given by UUID, whoever has made or started them: a GPU in use is in use.
 * @throws what the engine fails by
 */
export async function gpusInUse(engine: Engine, scope: string): Promise<Map<string, readonly string[]>> {
  const labelled = await listLabelled(engine, scope)
  const given = await Promise.all(
    labelled.map(async ({ dockerId, id, names }) => {
      const path = `/containers/${dockerId}/json`
      const found = await orNull(askEngine(engine, { method: 'GET', path }, Requested))
      const requests = found?.State.Running ? found.HostConfig.DeviceRequests : []
      const ids = requests.flatMap(({ DeviceIDs }) => DeviceIDs)
      return { id, ids, isCopy: !names.includes(`/${nameOf(scope, id)}`) }
    }),
  )
  const inUse = new Map<string, readonly string[]>()
  // A copy of ours has its id too: what ours has is the first of it.
  for (const { id, ids } of given.sort((a, b) => Number(a.isCopy) - Number(b.isCopy)))
    if (ids.length > 0) inUse.set(id, [...(inUse.get(id) ?? []), ...uuidsOf({ ids })])
  return inUse
}
