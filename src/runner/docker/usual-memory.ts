import * as v from 'valibot'
import { type Engine, EngineError } from './engine.ts'
import { askEngine } from './json.ts'

const closed: ReadonlySet<number> = new Set([401, 403, 404])
const Info = v.object({ MemTotal: v.optional(v.number(), 0) })

const mib = 1024 ** 2
/** A kernel that is upgraded counts a few MiB more or less, which is no reason to make containers anew. */
const stepBytes = 256 * mib
/** For the runner, the engine and the system: a sixteenth of the memory, within these. */
const leastReserve = 512 * mib
const mostReserve = 2048 * mib

/** What a container may take for which nothing is configured. Null: the engine does not say how much its host has, or that is too little to share. */
export async function usualMemory(engine: Engine): Promise<number | null> {
  const asked = { method: 'GET', path: '/info' } as const
  const { MemTotal } = await askEngine(engine, asked, Info).catch((error: unknown) => {
    // Something between here and there lets no such question through. What fails once is no reason to make a container anew without a limit.
    if (error instanceof EngineError && closed.has(error.status)) return { MemTotal: 0 }
    throw error
  })
  return lessReserve(MemTotal)
}

export function lessReserve(totalBytes: number): number | null {
  const reserve = Math.min(mostReserve, Math.max(leastReserve, totalBytes / 16))
  const left = Math.floor((totalBytes - reserve) / stepBytes) * stepBytes
  return left >= leastReserve ? left : null
}
