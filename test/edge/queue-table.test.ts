import { readFileSync } from 'node:fs'
import { sql } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { cancel } from '../../src/edge/jobs/cancel.ts'
import { enqueue } from '../../src/edge/jobs/enqueue.ts'
import {
  cancelUnread,
  closeOutput,
  expireStream,
  openOutput,
  storeOutput,
} from '../../src/edge/jobs/output.ts'
import { selectInput, storePart } from '../../src/edge/jobs/parts.ts'
import { abandonReceive, beginReceive, completeReceive } from '../../src/edge/jobs/receive.ts'
import { sweep } from '../../src/edge/jobs/sweep.ts'
import { limits } from '../../src/protocol/limits.ts'
import {
  type Host,
  type Lease,
  leaseMs,
  maxTries,
  miscounts,
  newJob,
  plainTerms,
  type Queue,
  result,
  startQueue,
} from '../support/queue.ts'

/** The matrix of docs/queue.md, cell by cell: what each operation does to a job in each state, and what its caller is told. */

const owner = 'ip:192.0.2.1'
const retentionMs = 7 * 24 * 3_600_000
const expiryMs = 24 * 3_600_000
const bounds = { maxQueuedPerOwner: 100, maxQueued: 100, maxBytesPerOwner: 2 ** 40, maxBytes: 2 ** 40 }

let queue: Queue
/** Has, or had, the lease. */
let holder: Host
let other: Host

beforeAll(async () => {
  queue = await startQueue()
})
afterAll(async () => await queue.close())

const report = async (lease: Lease, state: 'success' | 'failed' = 'success') =>
  (await queue.finish(holder, { ...result(lease), state }))?.[0] ?? 'refused'
const sweepNow = async () => await sweep(queue.db, { maxTries, retentionMs })
const epoch = async () =>
  (await queue.db.orm.all<{ epoch: number }>(sql`select epoch from policy`))[0]?.epoch ?? 0

async function claimed(): Promise<Lease> {
  await queue.add()
  const [lease] = await queue.claim(holder)
  return lease!
}

async function lapsed(): Promise<Lease> {
  const lease = await claimed()
  queue.clock.ms += leaseMs
  await sweepNow()
  return lease
}

/** Brings a job into a state. @returns the lease that `holder` has of it, or would have. */
const states: Record<string, () => Promise<Lease>> = {
  receiving: async () => {
    const { id } = newJob()
    await beginReceive(queue.db, { id, owner, bounds, heldBytes: limits.bodyBytes })
    return { id, attempt: 1 }
  },
  queued: async () => ({ id: await queue.add(), attempt: 1 }),
  'queued again': lapsed,
  running: claimed,
  success: async () => {
    const lease = await claimed()
    await report(lease)
    return lease
  },
  failed: async () => {
    const lease = await claimed()
    await report(lease, 'failed')
    return lease
  },
  cancelled: async () => {
    const lease = await claimed()
    await cancel(queue.db, { owner, id: lease.id })
    return lease
  },
  expired: async () => {
    const lease = await lapsed()
    await queue.db.orm.run(sql`update jobs set expires_at = ${queue.clock.ms}`)
    await sweepNow()
    return lease
  },
}

/** @returns what the caller is told; null when nobody asked. */
const operations: Record<string, (lease: Lease) => Promise<string | null>> = {
  complete: async ({ id }) => {
    const job = { ...plainTerms, received: id, id, owner, dataBytes: 2, dataParts: 1 }
    return (await completeReceive(queue.db, { ...job, epoch: await epoch() })) ? 'stored' : 'refused'
  },
  abandon: async ({ id }) => {
    await abandonReceive(queue.db, id)
    return null
  },
  'create again': async ({ id }) => {
    const stored = await enqueue(queue.db, { owner, jobs: [newJob({ id })], epoch: await epoch(), bounds })
    return stored.size === 1 ? 'stored' : 'there'
  },
  claim: async () => ((await queue.claim(other)).length === 1 ? 'given' : 'nothing'),
  heartbeat: async lease => ((await queue.beat(holder, [lease])).length === 1 ? 'kept' : 'lost'),
  input: async lease =>
    (await selectInput(queue.db, { runner: holder.runner, ...lease })) ? 'given' : 'refused',
  part: async lease => {
    const part = { kind: 'result', seq: 0, bytes: Uint8Array.of(1) } as const
    return (await storePart(queue.db, { runner: holder.runner, ...lease, ...part })) ? 'stored' : 'refused'
  },
  output: async lease => {
    await queue.db.orm.run(sql`update jobs set destination = 2`)
    const upload = { runner: holder.runner, ...lease, from: 0, bytes: Uint8Array.of(1), leaseMs }
    return (await storeOutput(queue.db, upload)) ? 'stored' : 'refused'
  },
  'output opened': async lease => {
    await queue.db.orm.run(sql`update jobs set destination = 2`)
    const opened = await openOutput(queue.db, {
      runner: holder.runner,
      ...lease,
      relay: 'r',
      turn: 1,
      leaseMs,
    })
    return opened ? 'opened' : 'refused'
  },
  report: async lease => await report(lease),
  'old report': async ({ id, attempt }) => await report({ id, attempt: attempt - 1 }),
  cancel: async ({ id }) => ((await cancel(queue.db, { owner, id })) ? 'cancelled' : 'refused'),
  "another's cancel": async ({ id }) =>
    (await cancel(queue.db, { owner: 'ip:192.0.2.2', id })) ? 'cancelled' : 'refused',
  'left unread': async ({ id }) => {
    await queue.db.orm.run(sql`update jobs set destination = 2`)
    return (await cancelUnread(queue.db, id)) ? 'cancelled' : 'refused'
  },
  'stream not taken': async ({ id }) => {
    await queue.db.orm.run(sql`update jobs set destination = 2, expires_at = ${queue.clock.ms}`)
    return (await expireStream(queue.db, id)).expired ? 'expired' : 'refused'
  },
  'lease over': async () => {
    queue.clock.ms += leaseMs
    await sweepNow()
    return null
  },
  'last lease over': async () => {
    await queue.db.orm.run(sql`update jobs set tries = ${maxTries}`)
    queue.clock.ms += leaseMs
    await sweepNow()
    return null
  },
  'lease over, output stored': async () => {
    await queue.db.orm.run(sql`update jobs set stream_bytes = 1 where state = 'running'`)
    queue.clock.ms += leaseMs
    await sweepNow()
    return null
  },
  'lease over, output opened': async ({ id, attempt }) => {
    await queue.db.orm.run(sql`update jobs set destination = 2 where state = 'running'`)
    await openOutput(queue.db, { runner: holder.runner, id, attempt, relay: 'r', turn: 1, leaseMs })
    queue.clock.ms += leaseMs
    await sweepNow()
    return null
  },
  'lease over, output opened and closed': async ({ id, attempt }) => {
    const lease = { runner: holder.runner, id, attempt }
    await queue.db.orm.run(sql`update jobs set destination = 2 where state = 'running'`)
    await openOutput(queue.db, { ...lease, relay: 'r', turn: 1, leaseMs })
    await closeOutput(queue.db, { ...lease, relay: 'another', turn: 1 })
    await openOutput(queue.db, { ...lease, relay: 'another', turn: 1, leaseMs })
    await openOutput(queue.db, { ...lease, relay: 'r', turn: 2, leaseMs })
    await closeOutput(queue.db, { ...lease, relay: 'r', turn: 1 })
    expect(
      await queue.db.orm.all(
        sql`select stream_relay as note from jobs where id = ${id} and state = 'running'`,
      ),
    ).toEqual(
      (await queue.db.orm.all(sql`select 1 from jobs where id = ${id} and state = 'running'`)).map(() => ({
        note: 'r 2',
      })),
    )
    await closeOutput(queue.db, { ...lease, relay: 'r', turn: 2 })
    queue.clock.ms += leaseMs
    await sweepNow()
    return null
  },
  'wait over': async () => {
    await queue.db.orm.run(sql`update jobs set lease_expires_at = lease_expires_at + ${expiryMs}`)
    queue.clock.ms += expiryMs
    await sweepNow()
    return null
  },
  'retention over': async () => {
    await queue.db.orm.run(sql`
      update jobs set lease_expires_at = lease_expires_at + ${retentionMs}, expires_at = expires_at + ${retentionMs}`)
    queue.clock.ms += retentionMs
    await sweepNow()
    return null
  },
}

/** A cell: what is told, and the state after it if that is another. */
async function cellOf(state: string, operation: string): Promise<string> {
  await queue.clear()
  holder = await queue.host()
  other = await queue.host()
  const lease = await states[state]!()
  const before = (await queue.read(lease.id))?.state
  const told = await operations[operation]!(lease)
  const after = (await queue.read(lease.id))?.state ?? 'gone'
  expect(await miscounts(queue.db)).toEqual([])
  return [told, after === before ? null : `→ ${after}`].filter(part => part !== null).join(' ') || '–'
}

/** The matrix as the document has it: cells by operation, then state. */
function documented(): Map<string, Map<string, string>> {
  const text = readFileSync(new URL('../../docs/queue.md', import.meta.url), 'utf8')
  const [, table = ''] = /^\| Operation (.*?)\n\n/ms.exec(text) ?? []
  const rows = `| Operation ${table}`.split('\n').map(line =>
    line
      .split('|')
      .slice(1, -1)
      .map(cell => cell.replaceAll('`', '').trim()),
  )
  const [head = [], , ...body] = rows
  const cells = ([operation = '', ...rest]: string[]) =>
    [operation, new Map(rest.map((cell, index) => [head[index + 1] ?? '', cell]))] as const
  return new Map(body.map(cells))
}

describe('the matrix in docs/queue.md', () => {
  const matrix = documented()

  test('default: has every operation and every state', () => {
    expect([...matrix.keys()]).toEqual(Object.keys(operations))
    for (const row of matrix.values()) expect([...row.keys()]).toEqual(Object.keys(states))
  })

  for (const operation of Object.keys(operations)) {
    test(`behavior: ${operation}`, async () => {
      const cells: Record<string, string> = {}
      for (const state of Object.keys(states)) cells[state] = await cellOf(state, operation)
      expect(cells).toEqual(Object.fromEntries(matrix.get(operation) ?? []))
    })
  }
})
