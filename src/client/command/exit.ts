import { InfernetError } from '../error.ts'

/** Exit codes of the command, those of sysexits.h where it has one. */
export const exitCode = {
  ok: 0,
  /** The node or the chain refused, or the answer is no: unhealthy, not found, the job failed. */
  refused: 1,
  /** The command line or the input is wrong. */
  usage: 64,
  /** No answer from the node, or one that is not the protocol's. */
  unavailable: 69,
  /** Later it may work: refused with 429 or 503, the job has not ended yet, or a transaction is not mined. */
  tryLater: 75,
} as const

/** Wrong use of the command: told to the user without a stack. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** An answer that is a "no", written to the output already. */
export class NegativeAnswer extends Error {
  override readonly name = 'NegativeAnswer'
}

/** The job goes on: its id is all that is needed to ask for it again. */
export class PendingJob extends Error {
  override readonly name = 'PendingJob'

  /** `why`: what it waits for; null: it has begun, or nobody can say. */
  constructor(id: string, seconds: number, why: string | null) {
    const waits = why === null ? '' : `\nIt waits: ${why}`
    super(
      `Job ${id} has not ended after ${seconds} s: ask again with \`infernet results --id ${id}\`${waits}`,
    )
  }
}

/** What a failure is to the shell, and what stderr says of it; null: nothing. */
export function toExit(error: unknown): { code: number; message: string | null } {
  if (error instanceof NegativeAnswer) return { code: exitCode.refused, message: null }
  if (error instanceof PendingJob) return { code: exitCode.tryLater, message: error.message }
  // CLIError is citty's, which keeps the class to itself.
  if (error instanceof UsageError || (error instanceof Error && error.name === 'CLIError'))
    return { code: exitCode.usage, message: error.message }
  if (error instanceof InfernetError) return { code: exitOf(error), message: describe(error) }
  throw error
}

function exitOf({ status, code, params }: InfernetError): number {
  // A job that was streamed, and failed.
  if (status === null && 'state' in params) return exitCode.refused
  if (code === 'reverted' || code === 'not_sent') return exitCode.refused
  if (code === 'not_mined') return exitCode.tryLater
  if (status === 429 || status === 503) return exitCode.tryLater
  if (code === 'bad_answer' || code === 'redirected') return exitCode.unavailable
  if (status !== null) return exitCode.refused
  return code === 'unreachable' || code === 'timeout' ? exitCode.unavailable : exitCode.usage
}

/** `[<status>] <message> - [k=v, ...]`, as the reference's client says it; the status only where there was one. */
export function describe({ status, message, params, code, cause }: InfernetError): string {
  const entries = Object.entries(params).map(([key, value]) => `${key}=${toText(value)}`)
  const said = status === null ? message : `[${status}] ${message}`
  const detail = code === 'unreachable' ? reasonOf(cause) : null
  return `${said}${detail ? `: ${detail}` : ''}${entries.length > 0 ? ` - [${entries.join(', ')}]` : ''}`
}

function toText(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}

/** The innermost cause: `fetch failed` says nothing, `connect ECONNREFUSED 127.0.0.1:4000` does. */
function reasonOf(error: unknown): string | null {
  if (!(error instanceof Error)) return null
  const deeper = error instanceof AggregateError ? error.errors[0] : error.cause
  return reasonOf(deeper) ?? error.message
}
