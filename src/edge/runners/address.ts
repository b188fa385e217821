import ipaddr from 'ipaddr.js'

/** The sender, of a header that a trusted proxy sets. Of a list, the last: what comes before, the sender may have written. */
export function clientAddress(header: string | undefined): string | null {
  const address = header?.split(',').at(-1)?.trim() || null
  return address === anyWorker ? null : address
}

/** What Workers of every zone but this one come from, says Cloudflare: an address of nobody in particular. */
const anyWorker = '2a06:98c0:3600::103'

/** Whether an address is on a list of IPs and CIDRs. An empty list admits everyone; an unknown address only passes that one. */
export function addressAllowed(list: readonly string[], address: string | null): boolean {
  if (list.length === 0) return true
  const parsed = parse(address)
  return parsed !== null && list.some(entry => matches(parsed, entry))
}

/** Whether an address is this machine's own: 127.0.0.0/8 or ::1. */
export function isLoopback(address: string | null): boolean {
  return parse(address)?.range() === 'loopback'
}

/** IPv4 addresses that are mapped into IPv6 come out as what they are. */
function parse(address: string | null): ipaddr.IPv4 | ipaddr.IPv6 | null {
  try {
    return address === null ? null : ipaddr.process(address)
  } catch {
    return null
  }
}

function matches(address: ipaddr.IPv4 | ipaddr.IPv6, entry: string): boolean {
  if (!entry.includes('/')) return parse(entry)?.toNormalizedString() === address.toNormalizedString()
  if (!ipaddr.isValidCIDR(entry)) return false
  const [network, bits] = ipaddr.parseCIDR(entry)
  return network.kind() === address.kind() && address.match(network, bits)
}

/**
 * Who owns a job of this sender: its IPv4 address, or the /64 of its IPv6 address, since hosts move within theirs at will.
 * Senders without an address share one owner.
 */
export const unknownOwner = 'ip:unknown'

export function ownerOf(address: string | null): string {
  const parsed = parse(address)
  if (parsed === null) return unknownOwner
  if (parsed.kind() === 'ipv4') return `ip:${parsed.toString()}`
  const network = ipaddr.IPv6.networkAddressFromCIDR(`${parsed.toNormalizedString()}/64`)
  return `ip:${network.toString()}/64`
}
