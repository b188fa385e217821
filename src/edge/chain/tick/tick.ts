import type { Hex } from 'viem'
import type { ChainReport } from '../../../protocol/chain.ts'
import type { Bells } from '../../bell/bell.ts'
import type { Db } from '../../db/open.ts'
import { describe, type Log } from '../../log.ts'
import type { PolicyCache } from '../../runners/policy.ts'
import type { Chain } from '../chain.ts'
import { checkChain } from '../check.ts'
import { cleaned } from '../clean.ts'
import { createRouteFinder } from '../containers.ts'
import { digestOf, rejudge } from '../guard/rejudge.ts'
import { type Head, readHead } from '../head.ts'
import { pruneLedger } from '../ledger/write.ts'
import { noWallet, watchNodeWallet } from '../node-wallet.ts'
import { pruneChain } from '../prune.ts'
import { RpcUnavailable } from '../rpc.ts'
import type { JobOptions, Step } from '../step.ts'
import { type Advanced, advance, hasWork } from './advance.ts'
import { createMemory, type Memory } from './memory.ts'
import { nextLook, paced } from './pace.ts'
import { reportOf } from './report.ts'
import { rewind } from './rewind.ts'
import { leastGap, withGap } from './rhythm.ts'
import { comparedCalls, comparedWith, isNoneOf, trustIn } from './trust.ts'
import { beginChain, readWork, type Work } from './work.ts'

export type TickOptions = {
  db: Db
  policy: PolicyCache
  bells: Bells
  log: Log
  jobs: JobOptions
  /** How long what has ended is kept. */
  retentionMs: number
  /** How long what was booked is kept. */
  ledgerDays: number
  chain: Chain
  /** Unix milliseconds of this machine. */
  now(): number
}

export type ChainTick = {
  /** @returns when to look again, in unix milliseconds. */
  tick(options: { poked: boolean }): Promise<number>
  report(): ChainReport
}

/** What another process may have written meanwhile is noticed after so long at the latest. */
const rereadMs = 60_000
/** A chain that is not what it was configured as may be mended. */
const recheckMs = 30_000
/** How long a head below the one that is known is taken for an endpoint's that lags; later the chain has become shorter. */
const lagMs = 60_000
/** Likewise, where it is another ticker that has been further: as long as that goes on, it is this one's endpoint that lags. */
const strandedMs = 10 * 60_000
/** Between looks for what may be forgotten. */
const pruneMs = 60_000
const firstRetryMs = 500
const maxRetryMs = 30_000
/** What is left after so many rounds of one tick waits for the next. */
const maxRounds = 20

/**
 * The tick of one chain: confirm, sync, judge, schedule, deliver. Whatever it does is safe to be done twice, by two at once, and to be
 * broken off anywhere. One that finds nothing to do costs one request to the chain and none to the database.
 */
export function createTick(options: TickOptions): ChainTick {
  const { chain, now, log } = options
  const memory = createMemory()
  const routes = createRouteFinder()

  return {
    async tick({ poked }) {
      try {
        const next = await look(poked)
        memory.failures = 0
        return next
      } catch (error) {
        memory.failures += 1
        memory.problem = problemOf(error)
        // What was written before it failed is not known.
        memory.work = null
        log.warn('Tick failed', { chain: chain.config.id, error: describe(error) })
        return now() + retryMs(memory.failures)
      }
    },
    report: () => reportOf(chain, memory),
  }

  async function look(poked: boolean): Promise<number> {
    if (!(await isServed(options, memory))) return now() + recheckMs
    await memory.wallet?.look(now())
    if (poked || now() - memory.readAt > rereadMs) memory.work = null
    memory.isFresh = false
    memory.work ??= await reread(options, memory)
    if (!memory.isRejudged) await judgeAnew()
    const head = await readBelieved(memory.work)
    if (head === null) return nextLook(memory.pace, now())
    memory.problem = null
    memory.pace = paced(memory.pace, head.latest.number, now())
    memory.gaps = withGap(memory.gaps, memory.latest, head.latest)
    chain.rpc.noteHead(head.latest.number)
    const isNew = head.latest.hash !== memory.latest?.hash || head.block.hash !== memory.block?.hash
    if (isNew || poked) memory.isHeld = false
    if (!(await work(stepOf(options, memory, head), { nextId: head.nextId, isNew }))) return now()
    memory.block = head.block
    memory.latest = head.latest
    if (!isUncompared(head)) memory.noted = memory.work?.noted ?? null
    if (now() - memory.prunedAt > pruneMs) await prune(head)
    return dueAgain(memory, now())
  }

  /** null: it is behind what is known, and not believed yet. */
  async function readBelieved(work: Work): Promise<Head | null> {
    const compared = comparedWith(memory, work)
    const { known, noted } = compared
    const head = await readHead(chain, contractsOf(memory), known, comparedCalls(compared))
    const trust = trustIn(head, compared)
    if (trust === 'behind' && !isLong(head, { above: null, most: lagMs })) return null
    if (trust === 'early' && noted !== null) {
      chain.rpc.noteHead(noted.number)
      if (!isLong(head, { above: noted.hash, most: strandedMs })) return null
    }
    memory.behind = null
    if (trust === 'same') memory.noted = work.noted
    else await follow(head, known?.number ?? 0)
    return head
  }

  async function judgeAnew(): Promise<void> {
    if (await rejudge(options.db, chain.config)) {
      log.info('Configuration changed', { chain: chain.config.id })
      memory.work = await reread(options, memory)
    }
    memory.isRejudged = true
  }

  /** A head that is behind what is known comes from an endpoint that lags, unless it stays so. */
  function isLong({ block }: Head, { above, most }: { above: Hex | null; most: number }): boolean {
    if (memory.behind?.above !== above) memory.behind = null
    memory.behind ??= { since: now(), above }
    memory.problem = `The chain is at block ${block.number}, and was further`
    return now() - memory.behind.since >= most
  }

  async function follow(head: Head, known: number): Promise<void> {
    log.warn('Chain reorganised', { chain: chain.config.id, block: head.block.number, known })
    const { from } = await rewind(stepOf(options, memory, head), { known })
    memory.work = await reread(options, memory)
    const { noted } = memory.work
    if (noted !== null && noted.number <= from) memory.noted = noted
  }

  /** Whether the journal has another top than the chain was seen to have. */
  function isUncompared({ block, latest }: Pick<Head, 'block' | 'latest'>): boolean {
    const noted = memory.work?.noted ?? null
    return noted !== null && isNoneOf(noted, [block, latest, memory.noted])
  }

  async function prune({ block }: Head): Promise<void> {
    const { id, reorgDepth, maxWaitSeconds } = chain.config
    const { retentionMs } = options
    const { isLeft } = await pruneChain(options.db, {
      chain: id,
      head: block.number,
      reorgDepth,
      retentionMs,
      waitMs: maxWaitSeconds * 1000,
    })
    await pruneLedger(options.db, { chain: id, days: options.ledgerDays })
    if (!isLeft) memory.prunedAt = now()
  }

  /** @returns false: nothing was done, since another ticker has been meanwhile where the head was not compared. */
  async function work(step: Step, { nextId, isNew }: { nextId: number; isNew: boolean }): Promise<boolean> {
    // What no endpoint took is sent again: a chain that mines for transactions alone has no block until then.
    let looksAnew = isNew || (memory.work?.unsent ?? 0) > 0
    for (let round = 0; round < maxRounds; round++) {
      const known = memory.work
      const asked = { nextId, isNew: looksAnew, isHeld: memory.isHeld, now: now() }
      if (known === null || !hasWork(known, { step, ...asked })) return true
      if (!memory.isFresh) {
        memory.work = await reread(options, memory)
        if (isUncompared(step)) return false
        continue
      }
      const advanced = await advance(step, { work: known, routes, ...asked })
      noteAdvanced(advanced)
      memory.work = await reread(options, memory)
      if (!advanced.isLeft) return true
      looksAnew = false
    }
    return true
  }

  function noteAdvanced({ isHeld, signer, left }: Advanced): void {
    if (signer) memory.signerReport = signer
    if (left !== null) memory.left = left
    memory.isHeld ||= isHeld
  }
}

async function isServed({ chain, now, log }: TickOptions, memory: Memory): Promise<boolean> {
  if (memory.contracts !== null) return true
  if (memory.checkedAt !== null && now() - memory.checkedAt < recheckMs) return false
  const checked = await checkChain(chain)
  memory.checkedAt = now()
  if ('contracts' in checked) {
    const { contracts } = checked
    memory.contracts = contracts
    memory.wallet = watchNodeWallet({ chain, contracts, log })
    return true
  }
  memory.problem = checked.problem
  log.error('Chain not served', { chain: chain.config.id, problem: checked.problem })
  return false
}

async function reread({ db, chain, now }: TickOptions, memory: Memory) {
  const { coordinator } = contractsOf(memory)
  const { config } = chain
  const read = () => readWork(db, { chain: config.id, at: now() })
  const begin = () =>
    beginChain(db, {
      chain: config.id,
      coordinator,
      nextId: config.startingSubId + 1,
      digest: digestOf(config),
    })
  const work = (await read()) ?? (await begin().then(read))
  if (work === null) throw new Error('The chain’s row cannot be written')
  if (work.cursor.coordinator !== coordinator) {
    throw new Error(
      `The database has subscriptions of another coordinator, ${work.cursor.coordinator}: this one is ${coordinator}`,
    )
  }
  memory.readAt = now()
  memory.isFresh = true
  return work
}

function contractsOf({ contracts }: Memory) {
  if (contracts === null) throw new Error('The chain was not checked')
  return contracts
}

function stepOf({ db, policy, bells, log, jobs, chain }: TickOptions, memory: Memory, head: Head): Step {
  const { block, latest } = head
  const gapSeconds = leastGap(memory.gaps)
  const contracts = contractsOf(memory)
  const nodeWallet = memory.wallet?.known() ?? noWallet
  return { db, policy, bells, log, jobs, chain, contracts, nodeWallet, block, latest, gapSeconds }
}

/** At the next block, or when an answer may be tried again. What was tried, and was not sent, waits for the next block. */
function dueAgain({ pace, work }: Memory, now: number): number {
  const look = nextLook(pace, now)
  const triedAt = work?.triedAt ?? null
  // What may be tried already, and is still there, waits for the signer or the market.
  return triedAt === null || triedAt <= now ? look : Math.min(look, triedAt)
}

/** For whoever looks at the node: what others have thrown may hold anything. */
function problemOf(error: unknown): string {
  return error instanceof RpcUnavailable ? error.message : cleaned(describe(error))
}

function retryMs(failures: number): number {
  const most = Math.min(maxRetryMs, firstRetryMs * 2 ** (failures - 1))
  return most / 2 + Math.random() * (most / 2)
}
