import type { RpcAnswer, RpcCall } from './rpc.ts'

export const headCall: RpcCall = { method: 'eth_blockNumber', params: [] }

/** Whether the answer will say how far the endpoint is. */
export function asksHead({ method, params }: RpcCall): boolean {
  return method === headCall.method || (method === 'eth_getBlockByNumber' && params[0] === 'latest')
}

/** The newest block that answers tell of; null: they tell of none. */
export function headTold(calls: readonly RpcCall[], answers: readonly RpcAnswer[]): number | null {
  const told = calls.flatMap((call, index) => {
    if (!asksHead(call)) return []
    const { result } = answers[index] ?? {}
    const isBlock = typeof result === 'object' && result !== null && 'number' in result
    return quantity(isBlock ? result.number : result) ?? []
  })
  return told.length > 0 ? Math.max(...told) : null
}

/** A JSON-RPC quantity that fits into a number. */
export function quantity(value: unknown): number | null {
  if (typeof value !== 'string' || !/^0x[0-9a-f]{1,14}$/i.test(value)) return null
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : null
}
