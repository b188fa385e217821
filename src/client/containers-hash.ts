import * as v from 'valibot'
import type { Hex } from 'viem'
import { ContainerId } from '../protocol/container.ts'
import { containersHash as hash } from '../protocol/container-hash.ts'
import { limits } from '../protocol/limits.ts'
import { invalid } from './error.ts'

const Containers = v.pipe(
  v.array(ContainerId, 'must be a list of ids'),
  v.minLength(1, 'must name at least one'),
  v.maxLength(limits.chainContainers, `must name at most ${limits.chainContainers}`),
)

/**
 * What subscriptions have for containers: the hash of their ids, given in the order in which they are called.
 * @throws InfernetError `invalid_request` for ids that no container has: with a comma in one they would mean others.
 */
export function containersHash(containers: readonly string[]): Hex {
  const parsed = v.safeParse(Containers, containers)
  if (parsed.success) return hash(parsed.output)
  const [{ message }] = parsed.issues
  throw invalid(`Invalid field: containers: ${message}`, { field: 'containers' })
}
