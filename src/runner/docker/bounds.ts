import type { Container } from '../config/config.ts'

/** Nobody answers there: Docker's own resolver knows the neighbours of a container, and would ask the host's for all else. */
const nobody = '127.0.0.1'

/** What a container may be and use, as Docker's `HostConfig` has it. `usualMemoryBytes`: where nothing is configured; null: no limit. */
export function boundsOf(
  { egress, limits, capabilities, read_only: readOnly }: Container,
  usualMemoryBytes: number | null,
) {
  const { memoryBytes, cpus, pids, shmBytes, tmpfsBytes } = limits
  return {
    SecurityOpt: ['no-new-privileges'],
    CapDrop: ['ALL'],
    ...(capabilities.length > 0 && { CapAdd: capabilities.toSorted() }),
    ...(egress === 'none' && { Dns: [nobody] }),
    ...(readOnly && { ReadonlyRootfs: true }),
    // Executable: compilers of kernels load from there what they have written.
    ...(tmpfsBytes !== null && { Tmpfs: { '/tmp': `rw,exec,nosuid,nodev,mode=1777,size=${tmpfsBytes}` } }),
    ...memoryOf(memoryBytes, usualMemoryBytes),
    ...(cpus !== null && { NanoCpus: Math.round(cpus * 1e9) }),
    PidsLimit: pids,
    ShmSize: shmBytes,
  }
}

function memoryOf(memoryBytes: number | null, usualBytes: number | null) {
  // What nobody has asked for takes nothing away: it may swap as much as the host does.
  if (memoryBytes === null) return usualBytes !== null && { Memory: usualBytes, MemorySwap: -1 }
  // Swap beyond the limit would make of it a limit of speed.
  return Number.isFinite(memoryBytes) && { Memory: memoryBytes, MemorySwap: memoryBytes }
}
