import type { RpcCall } from './rpc.ts'

/** Two more fit in: what an endpoint is asked about itself. */
const maxCalls = 48
const maxBytes = 256 * 1024
/** Of a call's envelope. */
const envelopeBytes = 64

/** Calls in batches of `most`, 256 KiB, and 48 with `first`, which each begins with. A call that is longer by itself has one of its own. */
export function toBatches(
  calls: readonly RpcCall[],
  { first = [], most = maxCalls }: { first?: readonly RpcCall[] | undefined; most?: number } = {},
): RpcCall[][] {
  const longest = Math.min(first.length + most, maxCalls)
  const batches: RpcCall[][] = []
  let bytes = 0
  for (const call of calls) {
    const length = envelopeBytes + JSON.stringify(call).length
    const last = batches.at(-1)
    if (last === undefined || last.length >= longest || bytes + length > maxBytes) {
      batches.push([...first, call])
      bytes = length
    } else {
      last.push(call)
      bytes += length
    }
  }
  return batches
}
