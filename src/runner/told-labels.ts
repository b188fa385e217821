import type { Labels } from '../protocol/labels.ts'
import type { RegisterRequest } from '../protocol/runner.ts'
import type { Config } from './config/config.ts'
import type { Gpus } from './gpu/gpus.ts'
import { gpuLabelsOf, hostLabelsOf } from './labels.ts'

export type ToldLabels = {
  /** As the edge is told them: of the host, and of each container that has GPUs. */
  told(): Pick<RegisterRequest, 'labels' | 'gpu_labels'>
  /** For who looks at the runner: all that one or another of its containers has. */
  all(): Labels
}

/** `config`: as it is when one asks. */
export function createToldLabels({
  config,
  gpus,
}: {
  config: () => Pick<Config, 'labels' | 'containers'>
  gpus: Pick<Gpus, 'known' | 'knownByContainer'>
}): ToldLabels {
  function told(): ReturnType<ToldLabels['told']> {
    const { arch, platform } = process
    const { labels: configured, containers } = config()
    const labels = hostLabelsOf({ configured, arch, platform })
    const given = gpus.knownByContainer(containers.filter(({ managed }) => !managed))
    if (given === null) return { labels }
    const gpu_labels = [...given]
      .map(([id, those]) => ({ id, labels: gpuLabelsOf(those, configured) }))
      .filter(({ labels }) => Object.keys(labels).length > 0)
    return { labels, gpu_labels }
  }

  return {
    told,
    all: () => ({ ...told().labels, ...gpuLabelsOf([...gpus.known().values()], config().labels) }),
  }
}
