import * as v from 'valibot'
import { capabilities } from './capabilities.ts'
import { flag, integer, numeric, size, text } from './fields.ts'

const object = 'must be an object in braces'

/** Where a container may connect to by itself: anywhere, the internet alone, or nowhere. */
export const Egress = v.picklist(['open', 'public', 'none'], 'must be "open", "public" or "none"')
export type Egress = v.InferOutput<typeof Egress>

const leastMemory = 6 * 1024 ** 2
const memoryMessage = 'must be a size, such as 1073741824 or "1g", or "unlimited"'
/** As a number of bytes. */
const unlimited = v.pipe(
  v.literal('unlimited'),
  v.transform(() => Number.POSITIVE_INFINITY),
)

/** What a container may use of its host. Each key counts by itself, at the root as a default. */
export const Limits = v.object(
  {
    memory: v.optional(v.union([unlimited, size(leastMemory, memoryMessage)], memoryMessage)),
    cpus: v.optional(
      v.pipe(numeric, v.minValue(0.01, 'must be at least 0.01'), v.maxValue(4096, 'must be at most 4096')),
    ),
    pids: v.optional(integer(1, 2 ** 22)),
    shm: v.optional(size(4096)),
    tmpfs: v.optional(size(4096)),
    disk: v.optional(size(1024 ** 2)),
  },
  object,
)
type Limits = v.InferOutput<typeof Limits>

const Capability = v.pipe(
  text,
  v.transform(name => name.toUpperCase().replace(/^CAP_/, '')),
  v.check(name => capabilities.has(name), 'must be the name of a Linux capability, such as "SYS_NICE"'),
)

/** Keys of the file's root. */
export const rootEntries = {
  egress: v.optional(Egress),
  limits: v.optional(Limits, {}),
  require_isolation: v.optional(flag, false),
}

/** Keys of an element of `containers`. */
export const containerEntries = {
  egress: v.optional(Egress),
  limits: v.optional(Limits, {}),
  links: v.optional(v.array(text, 'must be a list of ids of containers'), []),
  capabilities: v.optional(v.array(Capability, 'must be a list of texts, such as ["SYS_NICE"]'), []),
  read_only: v.optional(flag, false),
}

export type Confined = {
  egress: Egress
  /** The file says it, here or at its root. */
  egressAsked: boolean
  limits: {
    /** Infinity: as much as there is; null: what the host has, but for a reserve. */
    memoryBytes: number | null
    cpus: number | null
    pids: number
    shmBytes: number
    /** Of `/tmp`; null: it is on the disk, unless the root is read-only. */
    tmpfsBytes: number | null
    /** What it has written: its own layer and its anonymous volumes. */
    diskBytes: number | null
  }
}

const gib = 1024 ** 3
/** Enough for frameworks that start a process or a thread for each core of a large host. */
const usualPids = 4096
/** Docker's own 64 MiB are too few for frameworks that pass tensors between processes. */
const usualShm = gib

type Written = { egress?: Egress | undefined; limits: Limits }

export function settleConfined(entry: Written & { read_only: boolean }, root: Written): Confined {
  const limits = { ...root.limits, ...entry.limits }
  const asked = entry.egress ?? root.egress
  return {
    egress: asked ?? 'public',
    egressAsked: asked !== undefined,
    limits: {
      memoryBytes: limits.memory ?? null,
      cpus: limits.cpus ?? null,
      pids: limits.pids ?? usualPids,
      shmBytes: limits.shm ?? usualShm,
      tmpfsBytes: limits.tmpfs ?? (entry.read_only ? gib : null),
      diskBytes: limits.disk ?? null,
    },
  }
}

/** One that may take all memory takes it from its neighbours, and the kernel kills whom it will. */
export function memoryWarnings(
  containers: readonly (Confined & { id: string; managed: boolean })[],
): string[] {
  const here = containers.filter(({ managed }) => managed)
  const free = here
    .filter(({ limits }) => (limits.memoryBytes ?? Number.POSITIVE_INFINITY) === Number.POSITIVE_INFINITY)
    .map(({ id }) => id)
  if (here.length < 2 || free.length === 0) return []
  return [
    `limits.memory is not set for ${free.join(', ')}: each can take the memory of all others on this host`,
  ]
}
