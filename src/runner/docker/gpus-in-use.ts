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
 * What containers that run with this runner's labels were given by UUID, whoever has made or started them: a GPU in use is in use. By id;
 * what a copy of one has, by a name that no id can be: it is not that container's to have again.
 * @throws what the engine fails by
 */
export async function gpusInUse(engine: Engine, scope: string): Promise<Map<string, readonly string[]>> {
  const labelled = await listLabelled(engine, scope)
  const given = await Promise.all(
    labelled.map(async ({ dockerId, id, names }): Promise<[string, readonly string[]]> => {
      const path = `/containers/${dockerId}/json`
      const found = await orNull(askEngine(engine, { method: 'GET', path }, Requested))
      const requests = found?.State.Running ? found.HostConfig.DeviceRequests : []
      const ids = requests.flatMap(({ DeviceIDs }) => DeviceIDs)
      const isCopy = !names.includes(`/${nameOf(scope, id)}`)
      return [isCopy ? `copy:${dockerId}` : id, ids]
    }),
  )
  return new Map(given.filter(([, ids]) => ids.length > 0).map(([holder, ids]) => [holder, uuidsOf({ ids })]))
}
