import type { RpcCall } from './rpc.ts'

/** Two more fit in: what an endpoint is asked about itself. */
const maxCalls = 48
const maxBytes = 256 * 1024
/** Of a call's envelope. */
const envelopeBytes = 64

/** Calls in batches of 48 and 256 KiB at most, each after `first`. A call that is longer by itself has one of its own. */
export function toBatches(calls: readonly RpcCall[], first: readonly RpcCall[] = []): RpcCall[][] {
  const batches: RpcCall[][] = []
  let bytes = 0
  for (const call of calls) {
    const length = envelopeBytes + JSON.stringify(call).length
    const last = batches.at(-1)
    if (last === undefined || last.length === maxCalls || bytes + length > maxBytes) {
      batches.push([...first, call])
      bytes = length
    } else {
      last.push(call)
      bytes += length
    }
  }
  return batches
}
