import type { Cause, LogLine } from '../cause.ts'
import type { Inspected } from './container.ts'
import type { Engine } from './engine.ts'
import { pieces } from './frames.ts'

/** Of a container's log, with its cause: enough for a stack trace. */
const lastLines = 50
const lineChars = 512
const allChars = 8 * 1024
/** Its last words are a courtesy, and jobs wait for it. */
const logsTimeoutMs = 1_000

/** A process that ends so soon after another one in its container was killed for memory ends because of that. */
const aftermathMs = 5_000
/** One that is killed for memory is gone so much later at most, however much of it, and of a GPU's, is to be given back. */
const teardownMs = 60_000
/** Of a process that SIGKILL has ended, as the kernel does for memory: it had no time to say anything. */
const killedCode = 137

/**
 * What the engine's events say, on the monotonic clock. `outOfMemoryAt`: when they have last said that the container ran out of memory;
 * `since`: from when on they are heard without a break, null: they are not.
 */
export type Heard = { outOfMemoryAt: number | undefined; since: number | null }

/** Why a container does not run any more. */
export async function causeOfDeath(
  engine: Engine,
  { Id, State, HostConfig }: Inspected,
  heard: Heard,
): Promise<Cause> {
  const oom = ranOutOfMemory(State, heard) ? outOfMemoryCause(HostConfig.Memory) : null
  if (oom !== null && State.ExitCode === killedCode) return oom
  const lines = await lastWords(engine, Id).catch(() => [])
  return { ...(oom ?? { code: 'exited', detail: `it exited with code ${State.ExitCode}` }), lines }
}

/**
 * The engine says so of a container from the first of its processes on that was killed for memory: some say it while it runs, some when it
 * ends. One that goes on without that process may end hours later, for a reason of its own, and under another runner than the one that has
 * heard of it. Not every engine has an event for it, so that one which was killed and of which nothing was heard counts as killed for memory.
 */
function ranOutOfMemory(
  { OOMKilled, ExitCode }: Inspected['State'],
  { outOfMemoryAt, since }: Heard,
): boolean {
  const now = performance.now()
  const agoMs = outOfMemoryAt === undefined ? Number.POSITIVE_INFINITY : now - outOfMemoryAt
  const heardMs = since === null ? 0 : now - since
  if (agoMs < aftermathMs) return true
  if (!OOMKilled) return false
  if (ExitCode === killedCode)
    return outOfMemoryAt === undefined || agoMs < teardownMs || heardMs < teardownMs
  return outOfMemoryAt === undefined && heardMs < aftermathMs
}

export function outOfMemoryCause(limitBytes: number): Cause {
  const limit = limitBytes > 0 ? ` (its limit is ${Math.round(limitBytes / 1024 / 1024)} MiB)` : ''
  return { code: 'oom_killed', detail: `it ran out of memory and was killed${limit}` }
}

/** The engine keeps a line in pieces of 16 KiB, so that the answer is bounded, whatever the container writes. */
async function lastWords(engine: Engine, id: string): Promise<LogLine[]> {
  const { body } = await engine.send({
    method: 'GET',
    path: `/containers/${id}/logs?stdout=1&stderr=1&timestamps=1&tail=${lastLines}`,
    signal: AbortSignal.timeout(logsTimeoutMs),
  })
  const lines: LogLine[] = []
  // At once, so that each frame is one piece: a line.
  for await (const { bytes } of pieces([Buffer.from(await body.arrayBuffer())]))
    lines.push(...toLine(Buffer.from(bytes).toString()))
  let chars = 0
  return lines
    .toReversed()
    .filter(({ text }) => {
      chars += text.length + 1
      return chars <= allChars
    })
    .toReversed()
}

function toLine(frame: string): LogLine[] {
  const [, stamp = '', text = ''] = /^(\S+) (.*)/s.exec(frame) ?? []
  const at = Date.parse(stamp)
  return Number.isNaN(at) ? [] : [{ at, text: text.trimEnd().slice(0, lineChars) }]
}
