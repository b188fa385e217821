import type { ContainerPolicy } from '../../protocol/container.ts'
import { limits } from '../../protocol/limits.ts'
import type { Config, Container } from './config.ts'
import type { Problem } from './problem.ts'

/** What the edge is told of a container. Written out key by key, so that a secret cannot slip in with a spread. */
export function policyOf(container: Container): ContainerPolicy {
  return {
    id: container.id,
    description: container.description,
    image: container.image,
    external: container.external,
    generates_proofs: container.generates_proofs,
    openai: container.openai,
    allowed_ips: container.allowed_ips,
    allowed_addresses: container.allowed_addresses,
    allowed_delegate_addresses: container.allowed_delegate_addresses,
    signed_data: container.signed_data,
    accepted_payments: container.accepted_payments,
  }
}

/** Each container has its bounds in the schema, and all together have one. The edge registers no runner beyond it, which then claims nothing. */
export function registrationProblems({ containers }: Pick<Config, 'containers'>): Problem[] {
  if (JSON.stringify(containers.map(policyOf)).length <= limits.policyBytes) return []
  const what = `say more together than the edge takes, ${limits.policyBytes} characters`
  return [{ path: 'containers', what, fix: 'shorten their `description`, or lists of who may ask for them' }]
}
