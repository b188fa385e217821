import { readFile, stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import * as v from 'valibot'
import { type Config, type Environment, settle } from './config.ts'
import { memoryWarnings } from './confinement.ts'
import { parseJson } from './parse.ts'
import { registrationProblems } from './policy.ts'
import { ConfigError, type Problem, toProblem } from './problem.ts'
import { riskyFile, riskyTokens } from './risks.ts'
import { crossFieldProblems } from './rules.ts'
import { ConfigFile } from './schema.ts'
import { unreadKeys } from './unread.ts'
import { unusedKeys } from './unused.ts'

/** `risks`: what can be used, and should not be left so. */
export type Loaded = { config: Config; warnings: string[]; risks: Problem[] }

/** @throws ConfigError with every problem of the file at once. */
export async function loadConfig(env: Environment, chosen?: string): Promise<Loaded> {
  const path = chosen ?? env.INFERNET_CONFIG_PATH ?? 'config.json'
  const { source, mode } = await readSource(path).catch((cause: unknown) => {
    throw new ConfigError([unreadable(path, cause)])
  })
  const loaded = parseConfig(source, { path, env })
  return { ...loaded, risks: [...riskyFile(loaded.config, { path, mode }), ...loaded.risks] }
}

async function readSource(path: string): Promise<{ source: string; mode: number }> {
  return { source: await readFile(path, 'utf8'), mode: (await stat(path)).mode }
}

/** @throws ConfigError with every problem of the text at once. */
export function parseConfig(source: string, { path, env }: { path: string; env: Environment }): Loaded {
  const json = parseJson(source)
  if (!json.ok)
    throw new ConfigError([
      {
        path: '',
        what: `${path} is not JSON: see ${json.place}`,
        fix: 'look for a missing comma, quote or brace there',
      },
    ])
  const file = withEnvironment(json.value, env)
  const parsed = v.safeParse(ConfigFile, file)
  const problems = [...(parsed.success ? [] : parsed.issues.map(toProblem)), ...crossFieldProblems(file)]
  if (!parsed.success || problems.length > 0) throw new ConfigError(problems)
  const config = settle(parsed.output, { path, env })
  const tooMuch = registrationProblems(config)
  if (tooMuch.length > 0) throw new ConfigError(tooMuch)
  const warnings = [
    ...unreadKeys(json.value),
    ...unusedKeys(parsed.output),
    ...memoryWarnings(config.containers),
  ]
  return { config, warnings, risks: riskyTokens(config) }
}

function withEnvironment(file: unknown, env: Environment): unknown {
  if (typeof file !== 'object' || file === null || Array.isArray(file)) return file
  const { INFERNET_EDGE_URL: url, INFERNET_KEY_FILE: keyFile } = env
  if (!url && !keyFile) return file
  const written = 'edge' in file && typeof file.edge === 'object' ? file.edge : {}
  // A path from the environment is relative to where the process was started, one from the file to the file.
  return {
    ...file,
    edge: { ...written, ...(url && { url }), ...(keyFile && { key_file: resolve(keyFile) }) },
  }
}

function unreadable(path: string, cause: unknown): Problem {
  const code = cause instanceof Error && 'code' in cause ? cause.code : 'unreadable'
  const what = code === 'ENOENT' ? `${path} does not exist` : `${path} cannot be read (${code})`
  return { path: '', what, fix: 'name the file with --config or INFERNET_CONFIG_PATH, and make it readable' }
}
