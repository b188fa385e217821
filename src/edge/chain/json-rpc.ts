import * as v from 'valibot'
import { EndpointFailure, isOfLoad, troubleOf } from './endpoint-failure.ts'
import { isAnswer } from './refusal.ts'
import type { RpcAnswer, RpcCall, RpcError } from './rpc.ts'

const maxMessage = 1_000

const Wire = v.object({
  id: v.nullable(v.number()),
  result: v.optional(v.unknown()),
  error: v.nullish(v.object({ code: v.number(), message: v.string(), data: v.optional(v.unknown()) })),
})
type Wire = v.InferOutput<typeof Wire>

/** One request alone, or a batch. The ids count from `from`. */
export function toBody(calls: readonly RpcCall[], from: number): string {
  const requests = calls.map(({ method, params }, index) => ({
    jsonrpc: '2.0',
    id: from + index,
    method,
    params,
  }))
  return JSON.stringify(requests.length === 1 ? requests[0] : requests)
}

/** `trouble`: why some of the answers, which are unclear, are not believed; null: all are. */
export type Heard = { answers: RpcAnswer[]; trouble: string | null }

/**
 * The answers in the order of the calls, whatever order they came in.
 * @throws EndpointFailure when one is missing, or is more than the chain's own refusal.
 */
export function fromBody(body: unknown, { from, calls }: { from: number; calls: readonly RpcCall[] }): Heard {
  const count = calls.length
  if (count > 1 && !Array.isArray(body)) throw noBatch(body)
  const answers = new Map<number, RpcAnswer>()
  let trouble: string | null = null
  for (const item of count > 1 ? (body as unknown[]) : [body]) {
    const parsed = v.safeParse(Wire, item)
    if (!parsed.success) throw new EndpointFailure('gives something that is no answer')
    const { id } = parsed.output
    const call = id === null ? undefined : calls[id - from]
    const answer = toAnswer(parsed.output, call)
    if (id === null || call === undefined || answers.has(id))
      throw new EndpointFailure('answers what was not asked')
    if (answer.error?.isUnclear) trouble ??= answer.error.message
    answers.set(id, answer)
  }
  if (answers.size < count) throw new EndpointFailure('does not answer everything')
  return { answers: calls.map((_, index) => answers.get(from + index) as RpcAnswer), trouble }
}

function unclear(message: string): RpcAnswer {
  return { error: { code: 0, message, isUnclear: true } }
}

/** An error in place of a list may be about anything: only what is said of our rate is not about batches. */
function noBatch(body: unknown): EndpointFailure {
  const parsed = v.safeParse(Wire, body)
  const trouble = parsed.success && parsed.output.error ? troubleOf(toError(parsed.output.error)) : null
  if (trouble?.startsWith('limits our rate')) return new EndpointFailure(trouble)
  return new EndpointFailure('answers no batch', { refusesBatch: true })
}

/** @throws EndpointFailure */
function toAnswer({ error, result }: Wire, call: RpcCall | undefined): RpcAnswer {
  if (!error) {
    if (result === undefined) throw new EndpointFailure('gives neither a result nor an error')
    const doubt = call?.doubt?.(result) ?? null
    return doubt === null ? { result } : unclear(doubt)
  }
  const told = toError(error)
  const method = call?.method ?? ''
  if (isAnswer(method, told)) return { error: told }
  const trouble = troubleOf(told)
  if (trouble !== null) throw new EndpointFailure(trouble, { isOverwhelmed: isOfLoad(trouble) })
  const refused = `refuses ${method} (${told.code})`
  // It may be about this call alone: others of the batch are not to wait for an endpoint that says it in words we know.
  if (mayRefuse.includes(method)) return unclear(refused)
  throw new EndpointFailure(refused)
}

/** What a chain itself may say no to. */
const mayRefuse: readonly string[] = ['eth_call', 'eth_estimateGas', 'eth_sendRawTransaction']

function toError({ code, message, data }: NonNullable<Wire['error']>): RpcError {
  const hex = revertData(data)
  return { code, message: message.slice(0, maxMessage), ...(hex === null ? {} : { data: hex }) }
}

/** Some nodes wrap it once more, or put a word before it. */
function revertData(data: unknown): string | null {
  if (typeof data === 'string') return /^(?:reverted )?(0x(?:[0-9a-f]{2})*)$/i.exec(data)?.[1] ?? null
  return typeof data === 'object' && data !== null && 'data' in data ? revertData(data.data) : null
}
