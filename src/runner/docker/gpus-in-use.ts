import * as v from 'valibot'
import { uuidsOf } from '../gpu/devices.ts'
import type { Engine } from './engine.ts'
import { askEngine, orNull } from './json.ts'
import { listLabelled } from './own.ts'

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
  const inUse = new Map<string, readonly string[]>()
  await Promise.all(
    labelled.map(async ({ dockerId, id }) => {
      const path = `/containers/${dockerId}/json`
      const found = await orNull(askEngine(engine, { method: 'GET', path }, Requested))
      if (!found?.State.Running) return
      const ids = found.HostConfig.DeviceRequests.flatMap(({ DeviceIDs }) => DeviceIDs)
      // A copy of ours has its id too.
      if (ids.length > 0) inUse.set(id, [...(inUse.get(id) ?? []), ...uuidsOf({ ids })])
    }),
  )
  return inUse
}
