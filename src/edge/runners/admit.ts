import type { Refusal } from '../../protocol/error.ts'
import { type Labels, meets, type Requires } from '../../protocol/labels.ts'
import { limits } from '../../protocol/limits.ts'
import { addressAllowed } from './address.ts'
import type { MergedPolicy, PolicySnapshot } from './policy.ts'

export type OffchainRequest = {
  containers: readonly string[]
  requiresProof: boolean
  /** Of the host, as it is compared; null: nothing. */
  requires: Requires | null
  address: string | null
}

/** Of what the sender wrote, in a refusal. No container's name, and no address, is longer. */
const maxEchoLength = 128

/** The reference's checks of an off-chain job, in its order and with its messages (its node page, 4.6). */
export function admit(snapshot: PolicySnapshot, request: OffchainRequest): Refusal | null {
  const { containers: known, keys } = snapshot
  const { containers, requiresProof, requires, address } = request
  const [first] = containers
  if (first === undefined) return { code: 'no_containers', error: 'No containers specified' }
  if (containers.length > limits.chainContainers) {
    return { code: 'chain_too_long', error: 'Too many containers', params: { limit: limits.chainContainers } }
  }
  if (keys.size === 0) return { code: 'no_runner', error: 'No runner is enrolled with this node' }
  const policies: MergedPolicy[] = []
  for (const container of containers) {
    const policy = known.get(container)
    if (!policy)
      return {
        code: 'unsupported_container',
        error: 'Container not supported',
        params: { container: container.slice(0, maxEchoLength) },
      }
    policies.push(policy)
  }
  if (!policies[0]?.external) {
    return {
      code: 'not_external',
      error: 'First container must be external',
      params: { first_container: first },
    }
  }
  const last = policies.at(-1)
  if (requiresProof && !last?.generatesProofs) {
    const params = { container: last?.id }
    return { code: 'unsupported_proof', error: 'Container does not generate proof', params }
  }
  const barred = policies.find(policy => !policy.allowedIps.every(list => addressAllowed(list, address)))
  if (barred) {
    const params = { container: barred.id, address: (address ?? '').slice(0, maxEchoLength) }
    return { code: 'not_allowed', error: 'Container not allowed for address', params }
  }
  if (requires && !isOffered(snapshot, { containers, requires })) {
    const params = { requires }
    return {
      code: 'unmet_requires',
      error: 'No enrolled runner with these containers has such labels',
      params,
    }
  }
  return null
}

/** `admit`, for a batch: what is asked alike is judged once, since a fleet may have a thousand kinds of hosts. */
export function createAdmission(snapshot: PolicySnapshot): (request: OffchainRequest) => Refusal | null {
  const judged = new Map<string, Refusal | null>()
  return request => {
    const key = JSON.stringify(request)
    const known = judged.get(key)
    if (known !== undefined) return known
    const refusal = admit(snapshot, request)
    judged.set(key, refusal)
    return refusal
  }
}

export type Wanted = { containers: readonly string[]; requires: Requires | null }

/** Whether a host that is enrolled has all that is wanted, away as it may be. */
export function isOffered({ fleets }: PolicySnapshot, wanted: Wanted): boolean {
  const [first = ''] = wanted.containers
  return (fleets.get(first) ?? []).some(({ containers }) => hasAll(containers, wanted))
}

/** Whether some process that could serve the chain was heard of lately. */
export function isOnline({ live }: PolicySnapshot, wanted: Wanted): boolean {
  return live.some(({ ready }) => hasAll(ready, wanted))
}

/** Whether there is each of the containers, and one of them has what is required. */
function hasAll(there: ReadonlyMap<string, Labels>, { containers, requires }: Wanted): boolean {
  if (!containers.every(container => there.has(container))) return false
  return requires === null || containers.some(container => meets(there.get(container) ?? {}, requires))
}
