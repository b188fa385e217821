import { parseArgs } from 'node:util'
import { type Admin, createAdmin } from '../admin.ts'
import { type Client, createClient } from '../client.ts'
import { UsageError } from './exit.ts'

/** Options that several commands share. */
export const url = {
  type: 'string',
  description: 'URL of the node (or SERVER_URL).',
  valueHint: 'url',
} as const
export const node = {
  type: 'string',
  alias: 'n',
  description: 'The same as --url.',
  valueHint: 'url',
} as const
export const output = {
  type: 'string',
  alias: 'o',
  default: '-',
  description: 'File to write to; - is stdout.',
  valueHint: 'file',
} as const
export const input = {
  type: 'string',
  alias: 'i',
  default: '-',
  description: 'JSON file to read; - is stdin.',
  valueHint: 'file',
} as const

export function openClient(given: string | undefined): Client {
  const address = requireUrl(given)
  return reported(() => createClient({ url: address }))
}

export function openAdmin(given: string | undefined): Admin {
  const token = process.env.ADMIN_TOKEN
  if (!token) throw new UsageError('ADMIN_TOKEN is not set')
  const address = requireUrl(given)
  return reported(() => createAdmin({ url: address, token }))
}

function requireUrl(given: string | undefined): string {
  const address = given ?? process.env.SERVER_URL
  if (!address) throw new UsageError('Name the node with --url or SERVER_URL')
  return address
}

function reported<Opened>(open: () => Opened): Opened {
  try {
    return open()
  } catch (cause) {
    if (cause instanceof TypeError) throw new UsageError(`--url: ${cause.message}`)
    throw cause
  }
}

/** What an option says, or else the environment. @throws UsageError when neither does. */
export function named(option: string, given: string | undefined, variable: string): string {
  const value = given ?? process.env[variable]
  if (!value) throw new UsageError(`Say ${option}, or set ${variable}`)
  return value
}

/** Every value of an option that may be repeated; citty gives the last. */
export function repeated(rawArgs: string[], name: string): string[] {
  const options = { [name]: { type: 'string', multiple: true } } as const
  const { values } = parseArgs({ args: rawArgs, options, strict: false, allowPositionals: true })
  return [values[name] ?? []].flat().map(String)
}

const yes = ['true', 't', '1', 'yes', 'y', 'on']
const no = ['false', 'f', '0', 'no', 'n', 'off']

/** Lets a flag be followed by a value, as the reference's `--requires-proof true` is. */
export function joinFlagValue(rawArgs: readonly string[], flag: string): string[] {
  const joined: string[] = []
  for (const arg of rawArgs) {
    const value =
      joined.at(-1) === flag ? arg : arg.startsWith(`${flag}=`) ? arg.slice(flag.length + 1) : null
    const isYes = value !== null && yes.includes(value.toLowerCase())
    const isNo = value !== null && no.includes(value.toLowerCase())
    if (!isYes && !isNo) {
      joined.push(arg)
      continue
    }
    if (joined.at(-1) === flag) joined.pop()
    joined.push(`${flag}=${isYes}`)
  }
  return joined
}

/** One name of an option for another, as the reference's `-pk` for `--private-key`, which are not two short ones. */
export function renameFlag(rawArgs: readonly string[], from: string, to: string): string[] {
  return rawArgs.map(arg => {
    if (arg === from) return to
    return arg.startsWith(`${from}=`) ? `${to}${arg.slice(from.length)}` : arg
  })
}

/** A whole number. @throws UsageError */
export function wholeOf(name: string, text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new UsageError(`${name} must be a whole number`)
  return Number(text)
}
