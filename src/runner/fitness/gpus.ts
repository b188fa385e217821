import { type Devices, uuidsOf } from '../gpu/devices.ts'
import type { Sight } from '../gpu/query.ts'
import type { Found } from './found.ts'

export type GpuState = {
  sight: Sight
  /** What containers were given, by id. */
  given: ReadonlyMap<string, Devices>
  /** All GPUs that were ever seen, by UUID. */
  known: ReadonlyMap<string, unknown>
}

/** GPUs that containers have and that are not there, or in no state to be used: one finding for each, or for all. */
export function checkGpus({ sight, given, known }: GpuState): Found[] {
  const users = [...given].filter(([, devices]) => devices !== 'none')
  if (users.length === 0 || sight.kind === 'hidden') return []
  const everyone = users.map(([id]) => id)
  if (sight.kind === 'failed') return [{ code: 'gpu_lost', detail: sight.error, containers: everyone }]
  if (sight.kind === 'absent')
    return [
      { code: 'gpu_missing', detail: "There is no nvidia-smi on this runner's PATH", containers: everyone },
    ]
  if (sight.gpus.length === 0 && known.size === 0)
    return [{ code: 'gpu_missing', detail: 'nvidia-smi finds no GPU on this host', containers: everyone }]
  const there = new Map(sight.gpus.map(({ uuid, problem }) => [uuid, problem]))
  return [...known.keys()].flatMap(uuid => {
    const problem = there.get(uuid)
    if (problem === null) return []
    const containers = users.filter(([, devices]) => uses(devices, uuid)).map(([id]) => id)
    const detail = problem === undefined ? `nvidia-smi lists ${uuid} no more` : `${uuid}: ${problem}`
    return containers.length === 0 ? [] : [{ code: 'gpu_lost', detail, containers, breaks: true }]
  })
}

function uses(devices: Devices, uuid: string): boolean {
  return devices === 'all' || uuidsOf(devices).includes(uuid)
}
