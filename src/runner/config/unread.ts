import { Limits } from './confinement.ts'
import { pathOf } from './problem.ts'
import { ConfigFile, ContainerEntry } from './schema.ts'

/** The reference's keys that are set on the edge, where they act, and are not read here. */
const onTheEdge: Record<string, string> = {
  server: "port and rate limits of the public API are the edge's",
  chain: "RPC, registry, signer and payment address are the edge's vars and secrets",
  redis: 'the edge keeps jobs in its own database; there is no Redis',
  forward_stats: 'nothing is sent to third parties',
  log: 'the edge has its own log; the runner writes to its standard output',
}

const notNeeded: Record<string, string> = {
  startup_wait: 'containers are probed until they answer; see start_timeout',
}

/** A warning for each key that is not read, by path, without its value. */
export function unreadKeys(file: unknown): string[] {
  const warnings: string[] = []
  for (const [key, value] of entriesOf(file)) {
    const owner = onTheEdge[key]
    if (owner !== undefined)
      warnings.push(...leaves([key], value).map(path => `${path} is set on the edge: ${owner}`))
    else if (notNeeded[key] !== undefined) warnings.push(`${key} is not needed: ${notNeeded[key]}`)
    else if (!(key in ConfigFile.entries)) warnings.push(unknown([key]))
  }
  warnings.push(...unknownIn(['edge'], ConfigFile.entries.edge.entries, child(file, 'edge')))
  warnings.push(...unknownIn(['docker'], ConfigFile.entries.docker.wrapped.entries, child(file, 'docker')))
  warnings.push(...unknownIn(['limits'], Limits.entries, child(file, 'limits')))
  const containers = child(file, 'containers')
  for (const [index, container] of Array.isArray(containers) ? containers.entries() : []) {
    warnings.push(...unknownIn(['containers', index], ContainerEntry.entries, container))
    const limits = child(container, 'limits')
    warnings.push(...unknownIn(['containers', index, 'limits'], Limits.entries, limits))
  }
  return warnings
}

function unknownIn(path: (string | number)[], known: object, value: unknown): string[] {
  return entriesOf(value)
    .filter(([key]) => !(key in known))
    .map(([key]) => unknown([...path, key]))
}

function unknown(path: (string | number)[]): string {
  return `${pathOf(path)} is not a known key and is ignored`
}

function leaves(path: (string | number)[], value: unknown): string[] {
  const children = entriesOf(value)
  return children.length === 0
    ? [pathOf(path)]
    : children.flatMap(([key, inner]) => leaves([...path, key], inner))
}

function entriesOf(value: unknown): [string, unknown][] {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.entries(value) : []
}

function child(value: unknown, key: string): unknown {
  return entriesOf(value).find(([name]) => name === key)?.[1]
}
