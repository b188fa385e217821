import type { Gpu } from '../protocol/host.ts'
import type { Labels } from '../protocol/labels.ts'

export type HostSources = {
  /** What the operator says, which counts for more than what is found. */
  configured: Labels
  /** As Node names them. */
  arch: string
  platform: string
}

/** Under which other names people look for an architecture. */
const otherNames: Record<string, string> = { x64: 'amd64', arm64: 'aarch64' }

/** What the host has, as jobs may ask for it, whichever of its containers computes them. */
export function hostLabelsOf({ configured, arch, platform }: HostSources): Labels {
  const other = otherNames[arch]
  return { arch: other === undefined ? [arch] : [arch, other], os: [platform], ...configured }
}

/** What containers that were given these GPUs have beside it. */
export function gpuLabelsOf(gpus: readonly Gpu[], configured: Labels): Labels {
  const memory = gpus.map(({ memory_mib }) => memory_mib).filter(mib => mib !== null)
  return {
    ...(gpus.length > 0 && !('gpu' in configured) && { gpu: [...new Set(gpus.map(({ name }) => name))] }),
    // The driver keeps some of it for itself: 81,559 MiB are sold as 80 GB, and asked for as such.
    ...(memory.length > 0 &&
      !('gpu_memory_gib' in configured) && { gpu_memory_gib: [Math.round(Math.max(...memory) / 1024)] }),
  }
}
