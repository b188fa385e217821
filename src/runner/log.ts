export const logLevels = ['debug', 'info', 'warn', 'error'] as const
export type LogLevel = (typeof logLevels)[number]

export type LogFields = Record<string, string | number | boolean | null | undefined>

/** Callers pass names, numbers and codes: never tokens, keys, `env` values, or payloads, a container's error text to a job included. */
export type Log = Record<LogLevel, (event: string, fields?: LogFields) => void>

export type LogOptions = {
  write: (line: string) => void
  format: 'human' | 'json'
  level?: LogLevel
  now?: () => Date
}

const valueChars = 1024

/** One line per event, JSON for machines or padded text for people, with the reference's column widths. */
export function createLog({ write, format, level = 'info', now = () => new Date() }: LogOptions): Log {
  const least = logLevels.indexOf(level)

  function lineOf(at: LogLevel, event: string, fields: LogFields): string {
    const shown = Object.entries(fields).filter(([, value]) => value !== undefined)
    const bounded = shown.map(([key, value]) => [key, bound(value)] as const)
    const timestamp = now().toISOString()
    if (format === 'json')
      return JSON.stringify({ timestamp, level: at, event: bound(event), ...Object.fromEntries(bounded) })
    const words = bounded.map(([key, value]) => `${key}=${typeof value === 'string' ? quote(value) : value}`)
    const time = timestamp.slice(0, 19).replace('T', ' ')
    return `${time} [${at.padEnd(5)}] ${bound(event).padEnd(50)} ${words.join(' ')}`.trimEnd()
  }

  const at = (name: LogLevel) => (event: string, fields?: LogFields) => {
    if (logLevels.indexOf(name) >= least) write(lineOf(name, event, fields ?? {}))
  }
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}

function bound<T>(value: T): T | string {
  if (typeof value !== 'string' || value.length <= valueChars) return value
  return `${value.slice(0, valueChars)}...`
}

function quote(value: string): string {
  return /^[\w.:/@+-]+$/.test(value) ? value : JSON.stringify(value)
}
