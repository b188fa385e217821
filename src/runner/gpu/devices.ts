import type { Gpu } from '../../protocol/host.ts'
import { DownError } from '../cause.ts'
import type { Container } from '../config/config.ts'

/** The GPUs that a container gets: all there are, or these, by UUID or as they were configured. */
export type Devices = 'none' | 'all' | { ids: readonly string[] }

/** What it cannot have, and why. */
export class GpuError extends DownError {
  override readonly name = 'GpuError'

  constructor(message: string) {
    super('gpu_unavailable', message)
  }
}

/** As Docker's engine is told. */
export function deviceRequests(devices: Devices): { DeviceRequests?: object[] } {
  if (devices === 'none') return {}
  const Capabilities = [['gpu']]
  if (devices === 'all') return { DeviceRequests: [{ Count: -1, Capabilities }] }
  return { DeviceRequests: [{ DeviceIDs: devices.ids, Capabilities }] }
}

type Wish = Pick<Container, 'id' | 'gpu'>

/**
 * `before`: what was given already, and stays. `held`: what containers have under an earlier configuration until they are gone, by UUID;
 * counted to nobody else so far.
 */
type Assigned = {
  before?: ReadonlyMap<string, Devices>
  held?: ReadonlyMap<string, readonly string[]>
}

/**
 * Gives each container its GPUs. Those that are named are given to whoever names them, also to several; those that are counted go to one
 * container each, those that it has already before others, in the order of the configuration, so that the next start gives the same. Indexes become UUIDs: when a GPU is lost, the
 * others may get new ones. `there` null: nobody can know what there is, so that nothing is counted, and Docker knows what is named; text: why
 * it is not known so far, and nothing is given that depends on it.
 * @returns by container id; an error for one that cannot have what it asks for.
 */
export function assignDevices(
  containers: readonly Wish[],
  there: readonly Gpu[] | string | null,
  { before = new Map(), held = new Map() }: Assigned = {},
): Map<string, Devices | GpuError> {
  const gpus = typeof there === 'string' ? null : there
  const kept = new Map([...before].filter(([, devices]) => uuidsOf(devices).length > 0))
  const given = [...kept.values()].flatMap(uuidsOf)
  const named = containers.flatMap(({ gpu }) => idsOf(gpu).map(name => uuidOf(name, gpus)))
  const taken = new Set([...named, ...given])
  const free =
    gpus &&
    new Set(gpus.filter(({ uuid, problem }) => !taken.has(uuid) && problem === null).map(({ uuid }) => uuid))

  /** What it has under an earlier configuration comes first: with the same it need not be replaced. */
  function freeFor(id: string): string[] | null {
    if (free === null) return null
    const own = (held.get(id) ?? []).filter(uuid => free.has(uuid))
    const others = [...held].flatMap(([holder, uuids]) => (holder === id ? [] : uuids))
    return [...new Set([...own, ...free])].filter(uuid => !others.includes(uuid))
  }

  function give({ id, gpu }: Wish): Devices | GpuError {
    const devices =
      typeof there === 'string' && isByLook(gpu)
        ? new GpuError(`Which GPUs this host has is not known so far: ${there}`)
        : (kept.get(id) ?? assign(gpu, { gpus, free: freeFor(id) }))
    if (!(devices instanceof GpuError)) for (const uuid of uuidsOf(devices)) free?.delete(uuid)
    return devices
  }

  return new Map(containers.map(wish => [wish.id, give(wish)]))
}

/** Of GPUs that were found; none of what was given by another name, or unseen. */
export function uuidsOf(devices: Devices): readonly string[] {
  const ids = typeof devices === 'object' ? devices.ids : []
  return ids.every(id => id.startsWith('GPU-')) ? ids : []
}

function idsOf(gpu: Wish['gpu']): string[] {
  return typeof gpu === 'object' && 'devices' in gpu ? gpu.devices : []
}

/** Whether it takes a look to know which GPUs are meant: those that are counted, or named by index. */
function isByLook(gpu: Wish['gpu']): boolean {
  return typeof gpu === 'object' && ('count' in gpu || gpu.devices.some(name => /^\d+$/.test(name)))
}

const uncounted =
  'Which GPUs are free cannot be seen from here: name those that it gets, or let the runner see them (nvidia-smi on its PATH; in a container of its own, --gpus all)'

function assign(
  gpu: Wish['gpu'],
  { gpus, free }: { gpus: readonly Gpu[] | null; free: readonly string[] | null },
): Devices | GpuError {
  if (typeof gpu === 'boolean') return gpu ? 'all' : 'none'
  if ('devices' in gpu) {
    const missing = gpus === null ? undefined : gpu.devices.find(name => !isThere(name, gpus))
    if (missing !== undefined) return new GpuError(`This host has no GPU ${missing}`)
    return { ids: gpu.devices.map(name => uuidOf(name, gpus)) }
  }
  // Docker counts from its first one for each container anew.
  if (free === null) return new GpuError(uncounted)
  if (free.length < gpu.count)
    return new GpuError(`It wants ${gpu.count} of this host's GPUs for itself, and ${free.length} are free`)
  return { ids: free.slice(0, gpu.count) }
}

/** MIG instances are not among what the driver was asked for: Docker knows them. */
function isThere(name: string, gpus: readonly Gpu[]): boolean {
  const isInstance = name.startsWith('MIG-') || name.includes(':')
  return isInstance || gpus.some(({ index, uuid }) => name === String(index) || name === uuid)
}

function uuidOf(name: string, gpus: readonly Gpu[] | null): string {
  return gpus?.find(({ index }) => name === String(index))?.uuid ?? name
}
