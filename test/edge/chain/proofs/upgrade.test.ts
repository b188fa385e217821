import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/libsql'
import { migrate } from 'drizzle-orm/libsql/migrator'
import type { Address } from 'viem'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { readLedgerEntries } from '../../../../src/edge/chain/ledger/read.ts'
import { openEngine } from '../../../../src/local/libsql/engine.ts'
import { fund, nodeAddress } from '../../../support/chain.ts'
import { startTicking, type Ticking } from '../ticking.ts'
import { type Proving, price, startProving } from './proving.ts'

/** What was under way when a database of an earlier release is migrated, by a node that is paid into another wallet from then on. */

const folder = join(import.meta.dirname, '../../../../drizzle')
/** The last migration that did not note which wallet an answer names. */
const before = '0009_stream_relay'

type Journal = { entries: { idx: number; tag: string }[] }

/** A database of the earlier release with the rows of one of this release, as far as it has columns for them. @returns its path. */
async function downgraded(path: string, scratch: string): Promise<string> {
  const migrationsFolder = join(scratch, 'drizzle')
  cpSync(folder, migrationsFolder, { recursive: true })
  const file = join(migrationsFolder, 'meta', '_journal.json')
  const journal = JSON.parse(readFileSync(file, 'utf8')) as Journal
  const last = journal.entries.findIndex(({ tag }) => tag === before)
  writeFileSync(file, JSON.stringify({ ...journal, entries: journal.entries.slice(0, last + 1) }))
  mkdirSync(join(scratch, 'old'))
  const old = join(scratch, 'old', 'queue.db')
  const orm = drizzle({ connection: { url: `file:${old}` } })
  await migrate(orm, { migrationsFolder })
  orm.$client.close()
  const engine = openEngine(old)
  try {
    const read = (text: string) => {
      const statement = engine.prepare(text)
      statement.raw(true)
      return [...statement.iterate([])].map(([value]) => String(value))
    }
    // What triggers keep is copied as it is.
    const triggers = read(`select sql from sqlite_master where type = 'trigger'`)
    for (const trigger of read(`select name from sqlite_master where type = 'trigger'`))
      engine.exec(`drop trigger ${trigger}`)
    engine.exec(`attach '${path}' as now`)
    for (const table of read(
      `select name from main.sqlite_master where type = 'table' and name not like '\\_\\_%' escape '\\' and name not like 'sqlite%'`,
    )) {
      const columns = read(`select '"' || name || '"' from pragma_table_info('${table}')`).join(', ')
      engine.exec(`delete from main."${table}"`)
      engine.exec(`insert into main."${table}" (${columns}) select ${columns} from now."${table}"`)
    }
    for (const trigger of triggers) engine.exec(trigger)
    return old
  } finally {
    engine.close()
  }
}

let scratch: string
let world: Proving
let upgraded: Ticking | undefined
beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), 'upgrade-'))
})
afterEach(async () => {
  await upgraded?.close()
  await world?.close()
  upgraded = undefined
  rmSync(scratch, { recursive: true, force: true })
})

describe.for([false, true])('first deployment: %s', firstDeployment => {
  const path = () => join(scratch, 'queue.db')

  /** The node of this release, on the database of the earlier one. */
  async function upgrade() {
    const { chain } = world
    const old = await downgraded(path(), scratch)
    upgraded = await startTicking({
      chain,
      firstDeployment,
      path: old,
      container: { generates_proofs: true },
    })
    const { queue } = upgraded
    queue.clock.ms = world.queue.clock.ms
    const paymentAddress = await fund(chain, { spender: nodeAddress, amount: 0n })
    const node = upgraded.ticker({ paymentAddress })
    const balance = await world.balanceOf(world.nodeWallet)
    return {
      node,
      queue,
      look: upgraded.look,
      paymentAddress,
      proofs: () => queue.db.orm.all(sql`select state, node_wallet from proofs order by subscription`),
      /** By kind and subscription. */
      async payments(kind: string) {
        const question = { chain: chain.id, from: 0, to: 1e6, consumer: null, token: null, after: null }
        const entries = await readLedgerEntries(queue.db, { ...question, limit: 100 })
        return entries.flatMap(({ row }) =>
          row.kind === kind ? [BigInt(row.payment) - BigInt(row.slashed)] : [],
        )
      },
      gained: async () => (await world.balanceOf(world.nodeWallet)) - balance,
    }
  }

  const sum = (amounts: readonly bigint[]) => amounts.reduce((total, amount) => total + amount, 0n)
  const judge = async (id: number, valid: boolean) =>
    await world.call(world.verifier, 'finalize', id, 1, nodeAddress, valid)
  const lower = (address: Address) => address.toLowerCase()

  test('default: what was on its way, or computed, is known by the wallet that it names', async () => {
    world = await startProving({ firstDeployment, path: path() })
    for (let asked = 0; asked < 3; asked++) await world.prove()
    await world.look(world.node)
    await world.later(2)
    expect(await world.compute()).toBe(3)
    await world.look(world.node)
    expect(await world.states()).toEqual(Array(3).fill('sending'))
    const { node, look, proofs, payments, gained } = await upgrade()
    await world.mine()
    await look(node)
    await world.mine()
    await look(node)
    expect(await proofs()).toEqual(Array(3).fill({ state: 'pending', node_wallet: lower(world.nodeWallet) }))
    for (const id of [1, 2, 3]) await judge(id, id !== 2)
    await world.chain.warp(3_600)
    await look(node)
    expect((await proofs()).map(proof => (proof as { state: string }).state)).toEqual([
      'accepted',
      'rejected',
      'accepted',
    ])
    expect(sum(await payments('verdict'))).toBe(await gained())
    expect(await payments('verdict')).toContain(-price)
  })

  test('behavior: what waits for a verdict, and is final, is booked to the wallet that its answer names', async () => {
    world = await startProving({ firstDeployment, path: path() })
    for (let asked = 0; asked < 3; asked++) await world.prove()
    await world.look(world.node)
    await world.later(2)
    expect(await world.compute()).toBe(3)
    await world.later(2)
    await world.mine(70)
    await world.look(world.node)
    expect(await world.states()).toEqual(Array(3).fill('final'))
    const { node, look, proofs, payments, gained } = await upgrade()
    for (const id of [1, 2, 3]) await judge(id, id !== 2)
    await world.chain.warp(3_600)
    await look(node)
    expect((await proofs()).map(proof => (proof as { state: string }).state)).toEqual([
      'accepted',
      'rejected',
      'accepted',
    ])
    expect(sum(await payments('verdict'))).toBe(await gained())
    expect(await payments('verdict')).toContain(-price)
  })
})
