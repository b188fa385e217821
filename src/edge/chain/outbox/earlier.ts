import { sql } from 'drizzle-orm'
import { type Hex, parseTransaction } from 'viem'
import type { Db } from '../../db/open.ts'
import type { Fees } from './fees.ts'

export type Earlier = { raw: Hex; fees: Fees }

/** `tx`: whose; `seq`: before which; `fees`: what it offers at the least. */
export type FindEarlier = { tx: string; seq: number; data: Hex; gas: number; fees: Fees }

/** What was signed for a transaction before, says the same, and offers enough: of these what offers least. null: nothing. */
export async function findEarlier(
  { orm }: Db,
  { tx, seq, data, gas, fees }: FindEarlier,
): Promise<Earlier | null> {
  const rows = await orm.all<{ hash: Hex; max_fee: string; priority_fee: string }>(sql`
    select hash, max_fee, priority_fee from raws where tx = ${tx} and seq < ${seq}`)
  const enough = rows
    .map(row => ({
      hash: row.hash,
      fees: { maxFeePerGas: BigInt(row.max_fee), maxPriorityFeePerGas: BigInt(row.priority_fee) },
    }))
    .filter(({ fees: offered }) => isAtLeast(offered, fees))
    .toSorted((a, b) => Number(a.fees.maxFeePerGas - b.fees.maxFeePerGas))
  // One at a time: an SQL response may have 4 MiB, at some hosts.
  for (const { hash, fees: offered } of enough) {
    const [row] = await orm.all<{ raw: Hex }>(sql`select raw from raws where hash = ${hash}`)
    if (row && says(row.raw, { data, gas })) return { raw: row.raw, fees: offered }
  }
  return null
}

function isAtLeast(offered: Fees, { maxFeePerGas, maxPriorityFeePerGas }: Fees): boolean {
  return offered.maxFeePerGas >= maxFeePerGas && offered.maxPriorityFeePerGas >= maxPriorityFeePerGas
}

function says(raw: Hex, { data, gas }: { data: Hex; gas: number }): boolean {
  const signed = parseTransaction(raw)
  return (signed.data ?? '0x') === data && signed.gas === BigInt(gas)
}
