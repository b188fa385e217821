/**
 * Set apart for tests of networks, and so in nobody's own (RFC 2544). Networks of six addresses: a gateway's, a container's, a
 * neighbour's.
 */
const base = [198, 19] as const
const bits = 29
const count = 2 ** (bits - 16)

/** Subnets to try for a bridge, as CIDRs, each once; every bridge begins at a place of its own. */
export function* spareSubnets(bridge: string): Generator<string> {
  const first = Number.parseInt(bridge.slice(-8), 16) % count
  for (let step = 0; step < count; step++) {
    const offset = ((first + step) % count) * 2 ** (32 - bits)
    yield `${base.join('.')}.${offset >> 8}.${offset & 255}/${bits}`
  }
}
