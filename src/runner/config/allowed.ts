import ipaddr from 'ipaddr.js'
import * as v from 'valibot'
import { policyLimits } from '../../protocol/container.ts'
import { text } from './fields.ts'

/**
 * Lists of who may ask for a container. Of all hosts that have it the strictest list counts, so that one entry which fits nobody bars its
 * clients everywhere.
 */

const { listEntries, listEntryChars } = policyLimits

/** A client, or a network of them, as the edge reads it. */
const Ip = v.pipe(
  text,
  v.check(isNetwork, 'must be an IP address or a network, such as "192.0.2.7" or "10.0.0.0/8"'),
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
