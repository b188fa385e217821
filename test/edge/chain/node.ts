import { sql } from 'drizzle-orm'
import { keccak256, numberToHex, zeroAddress } from 'viem'
import { type Bells, createBells } from '../../../src/edge/bell/bell.ts'
import type { Block, ChainConfig, Status, Subscription } from '../../../src/edge/chain/chain.ts'
import { createRouteFinder, type RouteFinder } from '../../../src/edge/chain/containers.ts'
import { openGuard } from '../../../src/edge/chain/guard/guard.ts'
import type { ReadStatuses } from '../../../src/edge/chain/reading.ts'
import type { Step } from '../../../src/edge/chain/step.ts'
import type { Cursor } from '../../../src/edge/chain/sync.ts'
import type { QueueBounds } from '../../../src/edge/jobs/enqueue.ts'
import { createPolicyCache } from '../../../src/edge/runners/policy.ts'
import { register } from '../../../src/edge/runners/register.ts'
import type { ContainerPolicy } from '../../../src/protocol/container.ts'
import type { Queue } from '../../support/queue.ts'
import { policyOf } from '../../support/runner.ts'
import { statusOf } from './subscription.ts'

export const chainId = 31337
const noAddress = zeroAddress

/** A node of one chain over a real database; what it reads of the chain, the test says. */
export type TestNode = {
  bells: Bells
  routes: RouteFinder
  /** Event and fields of each line, in order. */
  lines: { event: string; fields: Record<string, unknown> }[]
  events(): string[]
  step(
    block: Block,
    rest?: { latest?: Block; bounds?: Partial<QueueBounds>; config?: Partial<ChainConfig> },
  ): Step
  cursor(): Promise<Cursor & { judgedEpoch: number }>
  /** Rows of its subscriptions, by id. */
  rows(): Promise<Row[]>
  deliveries(): Promise<Delivery[]>
  jobs(): Promise<Job[]>
  /** The runner's policies, from now on. */
  offer(...containers: ContainerPolicy[]): Promise<void>
  clear(): Promise<void>
}

export type Row = {
  id: number
  state: string
  due_at: number | null
  next_interval: number
  tries: number
  epoch: number
  reason: string | null
  message: string | null
  params: string | null
  route: string | null
  owner: string
  seen_block: number
}
export type Delivery = {
  subscription: number
  interval: number
  job: string
  state: string
  reason: string | null
  deadline: number | null
}
export type Job = {
  id: string
  owner: string
  state: string
  route: string
  source: number
  destination: number
  requires_proof: number
  data: string | null
  data_bytes: number
  data_parts: number
  expires_at: number
  created_at: number
}

export function blockAt(time: number, { number = time, fork = 0 } = {}): Block {
  const hashOf = (at: number) => keccak256(numberToHex(at * 1_000 + fork))
  return { number, hash: hashOf(number), time, baseFee: 1n }
}

const plainConfig: ChainConfig = {
  id: chainId,
  registry: noAddress,
  confidence: 'latest',
  trailHeadBlocks: 0,
  allowedSimErrors: [],
  gas: {
    maxFeePerGas: 1n,
    minPriorityFeePerGas: 1n,
    maxGasLimit: 1,
    bumpAfterBlocks: 1,
    bumpPercent: 13,
    maxInFlight: 1,
  },
  paymentAddress: '0x00000000000000000000000000000000000000cc',
  maxOutputBytes: 1,
  stringOutput: 'json',
  startingSubId: 0,
  batchSize: 50,
  reorgDepth: 64,
  maxWaitSeconds: 31_536_000,
  guard: openGuard,
}

const manyBounds: QueueBounds = {
  maxQueuedPerOwner: 1e6,
  maxQueued: 1e6,
  maxBytesPerOwner: 2 ** 40,
  maxBytes: 2 ** 40,
}

/** Neither an endpoint nor a key is anything that these steps use. */
function unused(): never {
  throw new Error('Not to be used')
}

const rpc = { send: unused, sendToAll: unused, noteHead: unused, status: unused }
const signer = { address: noAddress, signTransaction: unused }

export async function createNode({ db, clock, host, clear }: Queue, { nextId = 1 } = {}): Promise<TestNode> {
  const { orm } = db
  const policy = createPolicyCache({ db, now: () => clock.ms })
  const bells = createBells()
  const lines: TestNode['lines'] = []
  const note = (event: string, fields = {}) => void lines.push({ event, fields })
  const log = { info: note, warn: note, error: note }
  const runner = await host('runner-of-chains')

  const begin = () =>
    orm.run(sql`
      insert into chains (id, coordinator, next_id, head_number, head_hash)
      values (${chainId}, ${noAddress}, ${nextId}, 0, '0x')`)
  await begin()
  return {
    bells,
    routes: createRouteFinder(),
    lines,
    events: () => lines.map(({ event }) => event),
    step: (block, { latest = block, bounds = {}, config = {} } = {}) => ({
      db,
      policy,
      bells,
      log,
      jobs: { bounds: { ...manyBounds, ...bounds }, expiryMs: 24 * 3_600_000 },
      chain: { config: { ...plainConfig, ...config }, rpc, signer },
      contracts: {
        registry: noAddress,
        coordinator: noAddress,
        reader: noAddress,
        inbox: noAddress,
        walletFactory: noAddress,
        feeRecipient: null,
        fee: null,
        features: { status: true, batch: true, bounded: false },
      },
      block,
      latest,
      gapSeconds: 1,
      nodeWallet: { isValid: true, isOwn: true, owner: null, problem: null },
    }),
    async cursor() {
      const [row] = await orm.all<Cursor & { judgedEpoch: number }>(sql`
        select version, next_id as "nextId", judged_epoch as "judgedEpoch" from chains where id = ${chainId}`)
      return row!
    },
    rows: () =>
      orm.all<Row>(sql`
        select id, state, due_at, next_interval, tries, epoch, reason, message, params, route, owner, seen_block
        from subscriptions order by id`),
    deliveries: () =>
      orm.all<Delivery>(sql`
        select subscription, interval, job, state, reason, deadline from deliveries order by subscription, interval`),
    jobs: () =>
      orm.all<Job>(sql`
        select id, owner, state, route, source, destination, requires_proof, data, data_bytes, data_parts, expires_at, created_at
        from jobs order by created_at, id`),
    async offer(...containers) {
      await register(db, { ...runner, version: 'test', containers })
    },
    async clear() {
      lines.length = 0
      await clear()
      await orm.batch([
        orm.run(sql`delete from subscriptions`),
        orm.run(sql`delete from deliveries`),
        orm.run(sql`delete from transactions`),
        orm.run(sql`delete from chains`),
        orm.run(sql`delete from chain_blocks`),
        orm.run(sql`update runners set revoked_at = 0 where id <> ${runner.runner} and revoked_at is null`),
        begin(),
      ])
      await register(db, { ...runner, version: 'test', containers: ['a', 'b'].map(id => policyOf(id)) })
    },
  }
}

/** A chain that has these, and what it says besides at `time`. `asked`: how often it was read, and of what. */
export function chainOf(
  subscriptions: readonly Subscription[],
  time: number,
  rest: Record<number, Partial<Status> | 'failed' | 'unasked'> = {},
): { readStatuses: ReadStatuses; asked: number[][]; nextId: number } {
  const byId = new Map(subscriptions.map(subscription => [subscription.id, subscription]))
  const asked: number[][] = []
  return {
    asked,
    nextId: Math.max(0, ...byId.keys()) + 1,
    async readStatuses(ids) {
      asked.push([...ids])
      const statuses = new Map<number, Status>()
      const failed: number[] = []
      const unasked: number[] = []
      for (const id of ids) {
        const [subscription, more = {}] = [byId.get(id), rest[id]]
        if (more === 'failed') failed.push(id)
        else if (more === 'unasked') unasked.push(id)
        else if (subscription) statuses.set(id, statusOf(subscription, { time, ...more }))
      }
      return { statuses, failed, unasked }
    },
  }
}
