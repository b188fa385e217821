import type { ContainerPolicy } from '../../protocol/container.ts'
import type { Container } from './config.ts'

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
