/** Structured lines. `fields` must not hold secrets or payloads. */
export type Log = {
  info(event: string, fields?: Record<string, unknown>): void
  warn(event: string, fields?: Record<string, unknown>): void
  error(event: string, fields?: Record<string, unknown>): void
}

const maxLineLength = 4096

/** JSON lines on the console, which Workers keeps and indexes. */
export const consoleLog: Log = {
  info: (event, fields) => console.log(line('info', event, fields)),
  warn: (event, fields) => console.warn(line('warn', event, fields)),
  error: (event, fields) => console.error(line('error', event, fields)),
}

function line(level: string, event: string, fields: Record<string, unknown> = {}): string {
  const text = JSON.stringify({ level, event, ...fields })
  // Half a line is no JSON any more: what is too long goes into a field of its own.
  return text.length <= maxLineLength
    ? text
    : JSON.stringify({ level, event, cut: text.slice(0, maxLineLength / 2) })
}

/** An error as one field: its message and that of its causes, without stacks, which may quote arguments. */
export function describe(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown error'
  const cause = error.cause instanceof Error ? ` <- ${describe(error.cause)}` : ''
  // drizzle puts a statement's parameters into its message, and payloads are among them.
  const [message] = error.message.split('\nparams:')
  return `${error.name}: ${message}${cause}`.slice(0, 1024)
}
