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
/** Of a process that SIGKILL has ended, as the kernel does for memory: it had no time to say anything. */
const killedCode = 137

/** Why a container does not run any more. `outOfMemoryAt`: when the engine has said so last, on the monotonic clock. */
export async function causeOfDeath(
  engine: Engine,
  { Id, State, HostConfig }: Inspected,
  outOfMemoryAt: number | undefined,
): Promise<Cause> {
  const oom = ranOutOfMemory(State, outOfMemoryAt) ? outOfMemoryCause(HostConfig.Memory) : null
  if (oom !== null && State.ExitCode === killedCode) return oom
  const lines = await lastWords(engine, Id).catch(() => [])
  return { ...(oom ?? { code: 'exited', detail: `it exited with code ${State.ExitCode}` }), lines }
}

/**
 * The engine says so of a container from the first of its processes on that was killed for memory. One that goes on without that process may
 * end hours later, for a reason of its own.
 */
function ranOutOfMemory(
  { OOMKilled, ExitCode }: Inspected['State'],
  outOfMemoryAt: number | undefined,
): boolean {
  const isAftermath = outOfMemoryAt !== undefined && performance.now() - outOfMemoryAt < aftermathMs
  const isOld = outOfMemoryAt !== undefined && !isAftermath && ExitCode !== killedCode
  return isAftermath || (OOMKilled && !isOld)
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
