import { setImmediate } from 'node:timers/promises'
import { migrate } from '../src/edge/db/migrate.ts'
import { type Engine, openEngine } from '../src/local/libsql/engine.ts'
import { routeOf } from '../src/protocol/container.ts'

/** Jobs that lie in the way: half of another route than the one that is timed, half of the same for hosts with a label that the timed one has not. */
const otherRoute = 'other'
const unmetRoute = routeOf(['ours'], { gpu: 'H100' })
/** Has five ended and five waiting jobs, in any database. */
export const fewOwner = 'ip:192.0.2.1'
/** Has every second job. The others are of a thousand owners. */
export const manyOwner = 'ip:192.0.2.2'

const perChunk = 50_000
const hourMs = 3_600_000

/**
 * Makes a database file with so many ended and so many waiting jobs, rows of some 400 bytes, in the order in which time makes them:
 * what ended is older than what waits.
 */
export async function fillDatabase(path: string, count: number): Promise<void> {
  await migrate({ url: `file:${path}` })
  const engine = openEngine(path)
  try {
    // A file that is not whole is thrown away, so nothing has to survive a crash.
    engine.exec('pragma journal_mode = off; pragma synchronous = off; pragma cache_size = -262144')
    const now = Date.now()
    const runs = [
      { state: 'success', from: now - 6 * 24 * hourMs, stepMs: Math.floor((5 * 24 * hourMs) / count) },
      { state: 'queued', from: now - 12 * hourMs, stepMs: Math.floor((12 * hourMs) / count) },
    ] as const
    for (const run of runs) {
      for (let first = 1; first <= count; first += perChunk) {
        insertJobs(engine, { ...run, first, last: Math.min(count, first + perChunk - 1) })
        // So that a signal is heard.
        await setImmediate()
      }
    }
  } finally {
    engine.close()
  }
}

type Run = { state: 'success' | 'queued'; first: number; last: number; from: number; stepMs: number }

function insertJobs(engine: Engine, { state, first, last, from, stepMs }: Run): void {
  const text = 'lorem ipsum dolor sit amet '.repeat(4)
  const leased = state === 'success'
  engine.exec(`
    insert into jobs (id, owner, route, state, created_at, expires_at, data, data_bytes,
      ${leased ? 'attempt, tries, started_attempt, runner, instance, claimed_at, started_at, finished_at, result,' : ''}
      result_bytes)
    with recursive
      n (i) as (select ${first} union all select i + 1 from n where i < ${last}),
      job (i, ms) as (select i, ${from} + i * ${stepMs} from n)
    select printf('%08x-%04x-7%03x-8%03x-%012x', ms >> 16, ms & 65535, i & 4095, random() & 4095, i),
      case when i <= 5 then '${fewOwner}' when i % 2 then printf('ip:198.51.%d.%d', i / 2 / 250 % 4, i / 2 % 250) else '${manyOwner}' end,
      iif(i / 2 % 2, '${otherRoute}', '${unmetRoute}'), '${state}', ms, ms + ${24 * hourMs}, '{"prompt":"${text}"}', ${text.length + 13},
      ${leased ? `1, 1, 1, 'a-thumbprint-of-a-key-as-long-as-they-are-43', printf('%036d', i % 100), ms + 5, ms + 9, ms + 900, '{"container":"other","output":{"text":"${text}"}}',` : ''}
      ${leased ? text.length + 44 : 0}
    from job`)
}
