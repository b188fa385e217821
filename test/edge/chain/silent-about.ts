import { decodeFunctionData, type Hex, parseAbi } from 'viem'
import type { RpcCall } from '../../../src/edge/chain/rpc.ts'
import { readerAbi } from '../../../src/protocol/abi/reader.ts'
import type { Fault, RpcRequest } from '../../support/rpc-proxy.ts'

/** At which stage consumers run in a call. */
export type Kind = 'inputs' | 'trial' | 'estimate'

const asks = [
  ...readerAbi,
  ...parseAbi([
    'function getContainerInputs(uint32 id, uint32 interval, uint32 time, address node)',
    'function deliverCompute(uint32 id, uint32 interval, bytes input, bytes output, bytes proof, address wallet)',
  ]),
] as const

/** The subscriptions whose consumers run in a call, and at which stage. */
function runBy({ method, params }: RpcCall): { kind: Kind; start: number; end: number } | null {
  const [request] = params as [{ data?: Hex } | undefined]
  try {
    const { functionName, args } = decodeFunctionData({ abi: asks, data: request?.data ?? '0x' })
    if (functionName === 'readStatusBatch') return { kind: 'inputs', start: args[0], end: args[1] }
    if (functionName !== 'deliverCompute' && functionName !== 'getContainerInputs') return null
    const [start] = args
    const kind = method === 'eth_estimateGas' ? 'estimate' : 'trial'
    return { kind: functionName === 'deliverCompute' ? kind : 'inputs', start, end: start + 1 }
  } catch {
    return null
  }
}

/** Gives no answer to whatever has one of them run at this stage. `fault`: how. */
export function silentAbout(ids: readonly number[], stage: Kind, fault: Fault = { kind: 'hang' }) {
  return ({ calls }: RpcRequest): Fault | null =>
    calls.some(call => {
      const run = runBy(call)
      return run?.kind === stage && ids.some(id => id >= run.start && id < run.end)
    })
      ? fault
      : null
}
