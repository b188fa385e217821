import type { Gpu } from '../protocol/host.ts'
import type { Labels } from '../protocol/labels.ts'

export type LabelSources = {
  /** What the operator says, which counts for more than what is found. */
  configured: Labels
  gpus: readonly Gpu[]
  /** As Node names them. */
  arch: string
  platform: string
}

/** Under which other names people look for an architecture. */
const otherNames: Record<string, string> = { x64: 'amd64', arm64: 'aarch64' }

/** What the host has, as jobs may ask for it. */
export function labelsOf({ configured, gpus, arch, platform }: LabelSources): Labels {
  const other = otherNames[arch]
  const memory = gpus.map(({ memory_mib }) => memory_mib).filter(mib => mib !== null)
  const found: Labels = {
    arch: other === undefined ? [arch] : [arch, other],
    os: [platform],
    ...(gpus.length > 0 && { gpu: [...new Set(gpus.map(({ name }) => name))] }),
    // The driver keeps some of it for itself: 81,559 MiB are sold as 80 GB, and asked for as such.
    ...(memory.length > 0 && { gpu_memory_gib: [Math.round(Math.max(...memory) / 1024)] }),
  }
  return { ...found, ...configured }
}
