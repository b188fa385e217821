import { sql } from 'drizzle-orm'
import type { Hex } from 'viem'
import { blockCall } from '../block.ts'
import { isOfJournal } from '../journal.ts'
import { type RpcAnswer, type RpcCall, RpcUnavailable } from '../rpc.ts'
import type { Step } from '../step.ts'
import type { Settled } from './settle.ts'
import type { Placed } from './verdict.ts'

/** `kept`: verdicts in blocks of whose heights the journal has others. `isWrong`: of one of them the chain has the verdict's block. */
export type Misnoted = { kept: ReadonlySet<Settled>; isWrong: boolean }

type Judged = Settled & { verdict: Placed }

const tellsOther = 'tells another block than the journal'

/**
 * Whether it is for the journal that these are not written, and whether it is wrong: a slow ticker may have noted a block that was undone by then, below
 * what others had noted since. An endpoint that lags may tell of such a block as well: the journal is right as long as any of them has its block.
 */
export async function readMisnoted(step: Step, unwritten: readonly Settled[]): Promise<Misnoted> {
  const judged = unwritten.filter((one): one is Judged => one.verdict !== null)
  const kept = judged.length === 0 ? [] : await selectMisnoted(step, judged)
  if (kept.length === 0) return { kept: new Set(), isWrong: false }
  // Each by itself: of what is asked together one endpoint is believed.
  const told = await Promise.all(kept.map(async one => await isThere(step, one)))
  return { kept: new Set(kept), isWrong: told.includes(true) }
}

async function isThere({ chain }: Step, judged: Judged): Promise<boolean> {
  const answers = await chain.rpc.send([heightCall(judged)]).catch((error: unknown): RpcAnswer[] => {
    if (error instanceof RpcUnavailable) return []
    throw error
  })
  return answers[0]?.error?.message === tellsOther
}

async function selectMisnoted({ db, chain }: Step, judged: readonly Judged[]): Promise<Judged[]> {
  const items = judged.map(({ verdict: { block, blockHash } }) => [block, blockHash])
  const isOther = sql`not ${isOfJournal({ chain: chain.config.id, number: sql`item.value ->> 0`, hash: sql`item.value ->> 1` })}`
  const rows = await db.orm.all<{ place: number }>(
    sql`select item.key as place from json_each(${JSON.stringify(items)}) as item where ${isOther}`,
  )
  const places = new Set(rows.map(({ place }) => place))
  return judged.filter((_, place) => places.has(place))
}

function heightCall({ verdict: { block, blockHash } }: Judged): RpcCall {
  return { ...blockCall(block), doubt: result => (hashOf(result) === blockHash ? tellsOther : null) }
}

function hashOf(result: unknown): Hex | null {
  const { hash } = (result ?? {}) as { hash?: unknown }
  return typeof hash === 'string' ? (hash.toLowerCase() as Hex) : null
}
