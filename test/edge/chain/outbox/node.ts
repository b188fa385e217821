import { sql } from 'drizzle-orm'
import { type Address, type Hex, zeroAddress } from 'viem'
import { createBells } from '../../../../src/edge/bell/bell.ts'
import type { Block, Chain, ChainConfig, Contracts, Features } from '../../../../src/edge/chain/chain.ts'
import { openGuard } from '../../../../src/edge/chain/guard/guard.ts'
import { confirm } from '../../../../src/edge/chain/outbox/confirm.ts'
import { deliver, type SignerReport } from '../../../../src/edge/chain/outbox/deliver.ts'
import { confirmDisplaced } from '../../../../src/edge/chain/outbox/displaced.ts'
import { finalise } from '../../../../src/edge/chain/outbox/final.ts'
import { confirmLeft } from '../../../../src/edge/chain/outbox/left.ts'
import { recheckMined } from '../../../../src/edge/chain/outbox/recheck.ts'
import type { Rpc } from '../../../../src/edge/chain/rpc.ts'
import { createSigner } from '../../../../src/edge/chain/signer.ts'
import type { Step } from '../../../../src/edge/chain/step.ts'
import type { Db } from '../../../../src/edge/db/open.ts'
import { createPolicyCache } from '../../../../src/edge/runners/policy.ts'
import { openDb } from '../../../../src/host/open.ts'
import { anvilKey } from '../../../../src/local/chain/start.ts'
import { createDatabaseFile } from '../../../support/database-file.ts'

export const chainId = 31337
/** Who answers: an account that nothing else sends from. */
export const signer = createSigner(anvilKey(7))
/** What the node's key may be changed to. */
export const otherSigner = createSigner(anvilKey(9))

export const gasPolicy: ChainConfig['gas'] = {
  maxFeePerGas: 100_000_000_000n,
  minPriorityFeePerGas: 1_000_000n,
  maxGasLimit: 5_000_000,
  bumpAfterBlocks: 3,
  bumpPercent: 12.5,
  maxInFlight: 16,
}

const config: ChainConfig = {
  id: chainId,
  registry: zeroAddress,
  confidence: 'latest',
  trailHeadBlocks: 0,
  allowedSimErrors: [],
  gas: gasPolicy,
  paymentAddress: zeroAddress,
  maxOutputBytes: 32_768,
  stringOutput: 'json',
  startingSubId: 0,
  batchSize: 50,
  reorgDepth: 8,
  maxWaitSeconds: 31_536_000,
  guard: openGuard,
}

export type Delivery = {
  subscription: number
  interval: number
  state: string
  reason: string | null
  tries: number
  tx: string | null
}
export type Transaction = {
  id: string
  signer: string
  nonce: number
  state: string
  kind: string
  problem: string | null
  data: Hex
}
export type Raw = { hash: Hex; tx: string; seq: number; raw: Hex; max_fee: string; priority_fee: string }

/** The outbox over a real database, at blocks that the test says. */
export type Outbox = {
  db: Db
  clock: { ms: number }
  lines: { event: string; fields: Record<string, unknown> }[]
  step(block: Block, options: StepOptions): Step
  /** A subscription that has an answer: one that any consumer of strings takes. `deadline`: unix seconds of block time. */
  answer(options: {
    subscription: number
    interval?: number
    deadline?: number | null
    output?: string
    requiresProof?: boolean
  }): Promise<void>
  deliveries(): Promise<Delivery[]>
  transactions(): Promise<Transaction[]>
  raws(): Promise<Raw[]>
  clear(): Promise<void>
  close(): Promise<void>
}

export type StepOptions = {
  rpc: Rpc
  coordinator: Address
  latest?: Block
  features?: Features
  config?: Partial<ChainConfig>
  signer?: Chain['signer']
  db?: Db
}

/** `url`: of a server's database that is migrated; absent: a file of its own. */
/** Of the first deployments. */
export const firstFeatures: Features = { status: false, batch: false, bounded: false }

export async function createOutbox({ url }: { url?: string } = {}): Promise<Outbox> {
  const file = url === undefined ? await createDatabaseFile() : null
  const opened = await openDb({ url: url ?? file?.url ?? '' })
  const clock = { ms: 1_800_000_000_000 }
  const { orm } = opened
  const db: Db = {
    orm,
    get now() {
      return sql<number>`${clock.ms}`
    },
  }
  const lines: Outbox['lines'] = []
  const note = (event: string, fields = {}) => void lines.push({ event, fields })
  const log = { info: note, warn: note, error: note }
  const policy = createPolicyCache({ db, now: () => clock.ms })
  return {
    db,
    clock,
    lines,
    step: (block, { rpc, coordinator, features, latest = block, ...rest }) => ({
      db: rest.db ?? db,
      policy,
      bells: createBells(),
      log,
      jobs: {
        bounds: { maxQueuedPerOwner: 1, maxQueued: 1, maxBytesPerOwner: 1, maxBytes: 1 },
        expiryMs: 3_600_000,
      },
      chain: { config: { ...config, ...rest.config }, rpc, signer: rest.signer ?? signer },
      contracts: contractsOf(coordinator, features),
      block,
      latest,
      gapSeconds: 1,
      nodeWallet: { isValid: true, isOwn: true, owner: null, problem: null },
    }),
    async answer({ subscription, interval = 1, deadline = null, output = '"yes"', requiresProof = false }) {
      const job = `job-${subscription}-${interval}`
      const result = `{"container":"a","output":${output}}`
      await orm.batch([
        orm.run(sql`
          insert into subscriptions (chain, id, state, next_interval, seen_block, seen_hash, created_at, owner, active_at, period, frequency, redundancy,
            container_id, lazy, verifier, payment_amount, payment_token, wallet)
          values (${chainId}, ${subscription}, 'ended', ${interval + 1}, 0, '0x', ${clock.ms}, '0xaa', 1, 0, 1, 1, '0x', 0, '0x', '0', '0x', '0x')
          on conflict do nothing`),
        orm.run(sql`
          insert into jobs (id, owner, state, route, source, destination, created_at, expires_at, result, result_bytes, requires_proof, origin)
          values (${job}, 'chain:31337', 'success', 'a', 0, 0, ${clock.ms}, 9e15, ${result}, ${Buffer.byteLength(result)}, ${requiresProof ? 1 : 0}, 'queue')`),
        orm.run(sql`
          insert into deliveries (chain, subscription, interval, job, state, deadline, created_at)
          values (${chainId}, ${subscription}, ${interval}, ${job}, 'computed', ${deadline}, ${clock.ms})`),
      ])
    },
    deliveries: () =>
      orm.all<Delivery>(
        sql`select subscription, interval, state, reason, tries, tx from deliveries order by subscription, interval`,
      ),
    transactions: () =>
      orm.all<Transaction>(
        sql`select id, signer, nonce, state, kind, problem, data from transactions order by nonce, created_at`,
      ),
    raws: () =>
      orm.all<Raw>(sql`select hash, tx, seq, raw, max_fee, priority_fee from raws order by tx, seq`),
    async clear() {
      lines.length = 0
      const tables = ['subscriptions', 'jobs', 'deliveries', 'transactions', 'raws', 'chain_blocks']
      for (const table of tables) await orm.run(sql.raw(`delete from ${table}`))
    },
    async close() {
      opened.close()
      await file?.close()
    },
  }
}

function contractsOf(
  coordinator: Address,
  features = { status: true, batch: true, bounded: true },
): Contracts {
  return {
    registry: zeroAddress,
    coordinator,
    reader: zeroAddress,
    inbox: zeroAddress,
    walletFactory: zeroAddress,
    feeRecipient: null,
    fee: null,
    features,
  }
}

/** What a tick does for the outbox at a block. */
export async function look(step: Step): Promise<SignerReport | null> {
  await finalise(step)
  if (step.latest.number > step.block.number) await recheckMined(step)
  await confirmDisplaced(step)
  await confirm(step)
  await confirmLeft(step)
  return (await deliver(step)).signer
}
