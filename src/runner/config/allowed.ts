import ipaddr from 'ipaddr.js'
import * as v from 'valibot'
import { policyLimits } from '../../protocol/container.ts'
import { text } from './fields.ts'

/**
 * Lists of who may ask for a container. Of all hosts that have it the strictest list counts, so that one entry which fits nobody bars its
 * clients everywhere.
 */

const { listEntries, listEntryChars } = policyLimits
/** Of the prefix that IPv4 addresses have in IPv6: `::ffff:0:0/96`. */
const mappedBits = 96

/** A client, or a network of them, as the edge reads it. */
const Ip = v.pipe(
  text,
  v.transform(withPrefix),
  v.check(isNetwork, 'must be an IP address or a network, such as "192.0.2.7" or "10.0.0.0/8"'),
  v.check(
    entry => !isMappedNetwork(entry),
    'is IPv4 inside IPv6, which no client comes by: write the network as IPv4, such as "10.0.0.0/8" for "::ffff:10.0.0.0/104"',
  ),
)

/** Of a contract or an account. Its checksum is not looked at, as the edge does not. */
export const EvmAddress = v.pipe(
  text,
  v.regex(/^0x[0-9a-f]{40}$/i, 'must be an address: 0x and 40 hexadecimal digits'),
)

const list = <T extends v.GenericSchema<unknown, string>>(entry: T) =>
  v.pipe(
    v.array(entry, 'must be a list of texts, such as ["one", "two"]'),
    v.maxLength(listEntries, `must have at most ${listEntries} entries`),
  )

export const AllowedIps = list(Ip)
export const AllowedAddresses = list(EvmAddress)

/** A network may be written with its mask, as the reference takes it: the edge reads prefixes alone. */
function withPrefix(entry: string): string {
  const [, address = '', mask = ''] = /^([\d.]+)\/([\d.]+)$/.exec(entry) ?? []
  const prefix = ipaddr.IPv4.isValidFourPartDecimal(mask)
    ? ipaddr.IPv4.parse(mask).prefixLengthFromSubnetMask()
    : null
  return prefix === null ? entry : `${address}/${prefix}`
}

function isNetwork(entry: string): boolean {
  const [address = ''] = entry.split('/', 1)
  return (
    isAddress(address) && entry.length <= listEntryChars && (entry === address || ipaddr.isValidCIDR(entry))
  )
}

/** Four numbers, where it is IPv4: fewer stand for an address as well, and mostly for a slip. */
function isAddress(text: string): boolean {
  return ipaddr.IPv4.isValidFourPartDecimal(text) || ipaddr.IPv6.isValid(text)
}

/** The edge takes IPv4 addresses that are mapped into IPv6 for what they are, so that they are in no network of IPv6. */
function isMappedNetwork(entry: string): boolean {
  if (!ipaddr.IPv6.isValidCIDR(entry)) return false
  const [network, bits] = ipaddr.IPv6.parseCIDR(entry)
  return bits >= mappedBits && network.isIPv4MappedAddress()
}
