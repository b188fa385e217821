import type * as v from 'valibot'
import { program } from '../program.ts'

/** `path` as one would write it in JavaScript; '' is the file itself. */
export type Problem = { path: string; what: string; fix: string }

/** The configuration cannot be used. The process ends with `exitCode.config`. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly problems: readonly Problem[]

  constructor(problems: readonly Problem[]) {
    super(problems.map(textOf).join('\n'))
    this.problems = problems
  }
}

export function textOf({ path, what, fix }: Problem): string {
  return `${path ? `${path}: ` : ''}${what}. Fix: ${fix}.`
}

export function pathOf(keys: readonly (string | number)[]): string {
  return keys
    .map((key, index) => (typeof key === 'number' ? `[${key}]` : index > 0 ? `.${key}` : key))
    .join('')
}

const missing: Record<string, string> = {
  edge: 'add {"url": "https://...", "key_file": "..."}, or set INFERNET_EDGE_URL and INFERNET_KEY_FILE',
  'edge.url': "add the edge's address, or set INFERNET_EDGE_URL",
  'edge.key_file': `make a key with \`${program} keygen --out FILE\` and name the file here, or set INFERNET_KEY_FILE`,
}

/** Valibot's own messages quote the value they refuse, so only ours are shown. */
export function toProblem(issue: v.BaseIssue<unknown>): Problem {
  const keys = issue.path?.map(({ key }) => (typeof key === 'number' ? key : String(key))) ?? []
  const path = pathOf(keys)
  if (issue.input === undefined)
    return { path, what: 'is missing', fix: missing[path] ?? `add "${keys.at(-1)}"` }
  const what = issue.message.startsWith('Invalid ')
    ? `must be ${issue.expected ?? 'something else'}`
    : issue.message
  return { path, what, fix: `correct the value at ${path || 'the top of the file'}` }
}
