import { type ArgsDef, type CommandContext, type CommandDef, defineCommand } from 'citty'
import { UsageError } from './exit.ts'

export type Command<Args extends ArgsDef> = {
  name: string
  description: string
  args: Args
  run(context: CommandContext<Args>): Promise<void>
}

/** A command that refuses what citty lets pass: unknown options, words that nobody asked for, options without their value. */
export function command<const Args extends ArgsDef>({
  name,
  description,
  args,
  run,
}: Command<Args>): CommandDef<Args> {
  return defineCommand({
    meta: { name, description },
    args,
    setup: context => refuseStray(args, context.args),
    run,
  })
}

function refuseStray(defined: ArgsDef, given: Record<string, unknown> & { _: string[] }): void {
  const names = Object.keys(defined)
  const known = new Set(
    Object.values(defined).flatMap(
      definition => ('alias' in definition ? definition.alias : undefined) ?? [],
    ),
  )
  const stray = Object.keys(given).find(
    key => key !== '_' && !known.has(key) && !names.includes(toKebab(key)),
  )
  if (stray) throw new UsageError(`Unknown option ${stray.length === 1 ? '-' : '--'}${stray}`)
  const words = names.filter(name => defined[name]?.type === 'positional').length
  const [extra] = given._.slice(words)
  if (extra !== undefined) throw new UsageError(`Unexpected argument${isKey(extra) ? '' : ` ${extra}`}`)
  const empty = names.find(name => defined[name]?.type === 'string' && given[name] === '')
  if (empty) throw new UsageError(`Option --${empty} needs a value`)
}

/** What may be a private key is not told to a terminal, whose output may be kept. */
function isKey(text: string): boolean {
  return /^(0x)?[0-9a-f]{64}$/i.test(text)
}

function toKebab(key: string): string {
  return key.replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)
}
