import { atOnce } from './at-once.ts'
import { toBatches } from './batches.ts'
import { headCall } from './head-told.ts'
import { type Rpc, type RpcAnswer, type RpcCall, RpcUnavailable } from './rpc.ts'

/** `sizes`: calls in one request, at most, at the first try and at each one after. `limit`: requests at once. */
export type ApartOptions = { anchor?: RpcCall; sizes?: readonly number[]; limit?: number }

/** A whole batch with its anchor; alone in the end. */
const usualSizes: readonly number[] = [47, 6, 1]
const usualLimit = 4
/** Requests of a round after the first, at most: each may take as long as an endpoint may be silent. */
const maxLots = 24

type Asked = { index: number; call: RpcCall }

/**
 * Calls that strangers' contracts have a part in, and may each take as long as their gas lasts: a request that no endpoint answers is asked
 * again in parts. What is not answered alone either, while endpoints answer something else, is told as `silent`: it is this call's own matter.
 * What there were too many to ask again for is told as `unasked`. As many requests as one `send`, where all is well.
 * @returns answers in the order of the calls.
 * @throws RpcUnavailable when no endpoint answers anything.
 */
export async function sendApart(
  rpc: Rpc,
  calls: readonly RpcCall[],
  { anchor, sizes = usualSizes, limit = usualLimit }: ApartOptions = {},
): Promise<RpcAnswer[]> {
  const answers: RpcAnswer[] = []
  let left: Asked[] = calls.map((call, index) => ({ index, call }))
  let mayAsk = Number.POSITIVE_INFINITY
  for (const size of sizes) {
    const lots = lotsOf(left, size)
    for (const { index } of lots.slice(mayAsk).flat()) answers[index] = unasked
    const told = await atOnce(lots.slice(0, mayAsk), { limit, work: lot => sendLot(rpc, lot, anchor) })
    const failed = told.filter(each => each.answers === null)
    for (const { lot, answers: heard } of told)
      for (const [place, { index }] of lot.entries()) answers[index] = heard?.[place] ?? silent
    left = failed.flatMap(({ lot }) => lot)
    if (left.length === 0) return answers
    mayAsk = maxLots
    const [first] = failed
    if (await isWell(rpc, anchor)) continue
    if (told.length === failed.length) throw first?.problem ?? new RpcUnavailable('No endpoint answers.')
    // They have gone silent meanwhile: that says nothing of what was left.
    for (const { index } of left) answers[index] = unasked
    return answers
  }
  return answers
}

const silent: RpcAnswer = {
  error: {
    code: 0,
    message: 'No endpoint answers in time what it takes to look at this.',
    isUnclear: true,
    unanswered: 'silent',
  },
}
const unasked: RpcAnswer = {
  error: { code: 0, message: 'The endpoints had no time for this.', isUnclear: true, unanswered: 'unasked' },
}

function lotsOf(asked: readonly Asked[], size: number): Asked[][] {
  let from = 0
  return toBatches(
    asked.map(({ call }) => call),
    { most: size },
  ).map(({ length }) => {
    const lot = asked.slice(from, from + length)
    from += length
    return lot
  })
}

type Told = { lot: Asked[]; answers: RpcAnswer[] | null; problem?: RpcUnavailable }

/**
 * `answers` null: it was too much for each endpoint, or may have been. Each is asked once, for the next round asks again; but what is no matter
 * of these calls is tried as often as in any `send`.
 * @throws RpcUnavailable
 */
async function sendLot(rpc: Rpc, lot: Asked[], anchor: RpcCall | undefined): Promise<Told> {
  const calls = lot.map(({ call }) => call)
  try {
    const answers = await rpc.send(calls, anchor, { tries: 1 }).catch(async error => {
      if (!(error instanceof RpcUnavailable) || error.isOverwhelmed) throw error
      return await rpc.send(calls, anchor, { tries: 2 })
    })
    return { lot, answers }
  } catch (error) {
    if (!(error instanceof RpcUnavailable && error.isOverwhelmed)) throw error
    return { lot, answers: null, problem: error }
  }
}

/** Whether any endpoint answers what takes it no time. If so, it is not left to rest for what it was silent about. */
async function isWell(rpc: Rpc, anchor: RpcCall | undefined): Promise<boolean> {
  try {
    const [answer] = await rpc.send([anchor ?? headCall])
    return answer?.error === undefined
  } catch (error) {
    if (error instanceof RpcUnavailable) return false
    throw error
  }
}
