import { pathOf } from './problem.ts'
import type { ConfigFile, ContainerEntry } from './schema.ts'

/** What Docker is told when it makes a container, or the runner when it starts one. `image` is shown by the edge all the same. */
const ofTheStart = [
  'command',
  'env',
  'volumes',
  'inner_port',
  'limits',
  'capabilities',
  'read_only',
  'pull',
  'pull_timeout',
  'start_timeout',
  'ready_timeout',
] as const satisfies (keyof ContainerEntry)[]

/** A warning for each key that does nothing, since its container is not started here. One that says nothing is none. */
export function unusedKeys({ containers, manage_containers: managed }: ConfigFile): string[] {
  return containers.flatMap((container, index) => {
    if (managed && container.url === '') return []
    const why = container.url === '' ? 'manage_containers is off' : 'it has a `url`'
    return idleKeys(container).map(
      key =>
        `${pathOf(['containers', index, key])} does nothing, since the container is not started here (${why}): configure it where it runs`,
    )
  })
}

function idleKeys(container: ContainerEntry): string[] {
  const { url, port, gpu, egress } = container
  return [
    ...ofTheStart.filter(key => says(container[key])),
    ...(url !== '' && port !== usualPort ? ['port'] : []),
    // Which GPUs it has is taken at its word, and which ones so many are is not said.
    ...(typeof gpu === 'object' && 'count' in gpu ? ['gpu'] : []),
    // "open" is no promise.
    ...(egress !== undefined && egress !== 'open' ? ['egress'] : []),
  ]
}

/** The reference's, and ours. */
const usualPort = 3000

function says(value: unknown): boolean {
  return value !== undefined && !['""', '[]', '{}', 'false'].includes(JSON.stringify(value))
}
