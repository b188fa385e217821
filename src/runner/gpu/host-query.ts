import { isLocal } from '../docker/address.ts'
import { createQuery, type Query, type Sight } from './query.ts'

export type HostQueryOptions = { dockerHost: string | undefined; inDocker: boolean }

const hidden: Sight = { kind: 'hidden' }

/** Asks for the GPUs that the engine hands out, as far as they can be seen from where the runner is. */
export function createHostQuery({ dockerHost, inDocker }: HostQueryOptions): Query {
  if (!isLocal(dockerHost)) return async () => hidden
  const query = createQuery()
  if (!inDocker) return query
  // Only one that was given GPUs has the program: its host may have some all the same.
  return async () => {
    const sight = await query()
    return sight.kind === 'absent' ? hidden : sight
  }
}
