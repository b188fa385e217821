/**
 * Addresses that are nobody's on the internet: private, shared, loopback, link-local (metadata services among them), documentation,
 * benchmarks, multicast, reserved (RFC 6890 and IANA's special-purpose registry). 168.63.129.16 looks public and is Azure's host agent.
 */
const closed4 = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '168.63.129.16/32',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
] as const

/** The internet is 2000::/3. Within it: Teredo and 6to4, which wrap IPv4 addresses, benchmarks, ORCHID, documentation. */
const closed6 = [
  '::/3',
  '2001::/23',
  '2001:db8::/32',
  '2002::/16',
  '3fff::/20',
  '4000::/2',
  '8000::/1',
] as const

export type Family = 4 | 6

/** What `egress: "public"` does not reach, as CIDRs. */
export const closedRanges: Record<Family, readonly string[]> = { 4: closed4, 6: closed6 }
