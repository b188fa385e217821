import * as v from 'valibot'
import { type Hex, zeroAddress } from 'viem'
import { ConfigError } from '../config-error.ts'
import type { ChainConfig } from './chain.ts'
import { address, gwei, integer } from './fields.ts'
import { guardEntries, toGuard } from './guard/fields.ts'
import { readSecrets } from './secrets.ts'

/** A chain as it is configured, with its secrets. */
export type ChainSettings = { config: ChainConfig; urls: string[]; privateKey: Hex }

const maxChains = 16
const maxId = 2 ** 32 - 1
const object = 'must be an object in braces'

const Gas = v.strictObject(
  {
    max_fee_gwei: v.optional(gwei, 200),
    min_priority_fee_gwei: v.optional(gwei, 0.001),
    max_gas_limit: v.optional(integer(100_000, 1_000_000_000), 5_000_000),
    bump_after_blocks: v.optional(integer(1, 10_000), 3),
    bump_percent: v.optional(
      v.pipe(
        v.number('must be a number of percent'),
        v.minValue(12.5, 'must be at least 12.5, or no node takes the replacement'),
        v.maxValue(1_000, 'must be at most 1000'),
      ),
      15,
    ),
    max_in_flight: v.optional(integer(1, 64), 16),
  },
  object,
)

/** One element of `CHAINS`, with every default. */
const Entry = v.strictObject(
  {
    id: integer(1, Number.MAX_SAFE_INTEGER),
    registry: v.pipe(
      address,
      v.check(registry => registry !== zeroAddress, 'must not be the zero address'),
    ),
    confidence: v.optional(
      v.picklist(['latest', 'safe', 'finalized'], 'must be "latest", "safe" or "finalized"'),
      'latest',
    ),
    trail_head_blocks: v.optional(integer(0, 10_000), 0),
    allowed_sim_errors: v.optional(
      v.pipe(
        v.array(
          v.pipe(
            v.string('must be text'),
            v.trim(),
            // An empty one would be in every message.
            v.minLength(1, 'must not be empty'),
            v.maxLength(200, 'must be at most 200 characters'),
            v.toLowerCase(),
          ),
          'must be a list of texts in brackets',
        ),
        v.maxLength(64, 'must have at most 64 texts'),
      ),
      [],
    ),
    payment_address: v.optional(address, zeroAddress),
    starting_sub_id: v.optional(integer(0, maxId), 0),
    batch_size: v.optional(integer(1, 500), 100),
    // A transaction of more than 128 KiB is taken by no node.
    max_output_bytes: v.optional(integer(32, 120_000), 32_768),
    string_output: v.optional(v.picklist(['json', 'python'], 'must be "json" or "python"'), 'json'),
    reorg_depth: v.optional(integer(0, 10_000), 64),
    max_wait_days: v.optional(integer(1, 36_500), 365),
    gas: v.optional(Gas, {}),
    ...guardEntries,
  },
  object,
)
type Entry = v.InferOutput<typeof Entry>

/** Rules between fields; they speak when each field for itself is right. */
const Checked = v.pipe(
  Entry,
  v.forward(
    v.check(
      ({ confidence, trail_head_blocks }) => confidence === 'latest' || trail_head_blocks === 0,
      'must be 0 unless "confidence" is "latest": a safe or finalized block is behind already',
    ),
    ['trail_head_blocks'],
  ),
  v.forward(
    v.check(
      ({ gas }) => gas.min_priority_fee_gwei <= gas.max_fee_gwei,
      'must not be more than max_fee_gwei, of which it is a part',
    ),
    ['gas', 'min_priority_fee_gwei'],
  ),
)

/**
 * The chains of `CHAINS`, a JSON text, with the secrets of each: `CHAIN_<id>_RPC_URLS`, `CHAIN_<id>_PRIVATE_KEY`. None when it is absent.
 * @throws ConfigError naming every var and key that is missing or wrong, never a value.
 */
export function parseChains(env: unknown): ChainSettings[] {
  const vars = asObject(env)
  const list = listOf(vars.CHAINS)
  const parsed = list.map((entry, index) => readEntry(entry, { index, vars }))
  const problems = [...parsed.flatMap(chain => chain.problems), ...duplicates(list)]
  if (problems.length > 0) throw new ConfigError(problems)
  return parsed.flatMap(({ settings }) => settings ?? [])
}

/** The secrets that belong to `CHAINS`, for hosts that have to ask for each by its name. What is wrong with it `parseChains` says. */
export function secretNames(chains: unknown): string[] {
  try {
    return listOf(chains)
      .map(idOf)
      .filter(id => id !== null)
      .flatMap(id => [`CHAIN_${id}_RPC_URLS`, `CHAIN_${id}_PRIVATE_KEY`])
  } catch (error) {
    if (error instanceof ConfigError) return []
    throw error
  }
}

function listOf(text: unknown): readonly unknown[] {
  if (text === undefined) return []
  const list = typeof text === 'string' ? fromJson(text) : undefined
  if (!Array.isArray(list))
    throw new ConfigError(['CHAINS: must be a list of chains in brackets, as JSON text'])
  if (list.length > maxChains) throw new ConfigError([`CHAINS: must have at most ${maxChains} chains`])
  return list
}

function fromJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // The parser's message quotes the text.
    throw new ConfigError(['CHAINS: is not JSON'])
  }
}

/** The secrets are looked at even when something else is wrong, as long as it is known which they are. */
function readEntry(
  entry: unknown,
  { index, vars }: { index: number; vars: Record<string, unknown> },
): { settings: ChainSettings | null; problems: string[] } {
  const parsed = v.safeParse(Checked, entry)
  const id = idOf(entry)
  const secrets = id === null ? null : readSecrets(vars, id)
  const problems = [
    ...(parsed.issues ?? []).map(issue => `CHAINS[${index}]${describe(issue)}`),
    ...(secrets?.problems ?? []),
  ]
  if (!parsed.success || secrets === null || secrets.privateKey === null || problems.length > 0)
    return { settings: null, problems }
  const { urls, privateKey } = secrets
  return { settings: { config: toConfig(parsed.output), urls, privateKey }, problems: [] }
}

function toConfig(entry: Entry): ChainConfig {
  const { gas } = entry
  return {
    id: entry.id,
    registry: entry.registry,
    confidence: entry.confidence,
    trailHeadBlocks: entry.trail_head_blocks,
    allowedSimErrors: entry.allowed_sim_errors,
    gas: {
      maxFeePerGas: gas.max_fee_gwei,
      minPriorityFeePerGas: gas.min_priority_fee_gwei,
      maxGasLimit: gas.max_gas_limit,
      bumpAfterBlocks: gas.bump_after_blocks,
      bumpPercent: gas.bump_percent,
      maxInFlight: gas.max_in_flight,
    },
    paymentAddress: entry.payment_address,
    maxOutputBytes: entry.max_output_bytes,
    stringOutput: entry.string_output,
    startingSubId: entry.starting_sub_id,
    batchSize: entry.batch_size,
    reorgDepth: entry.reorg_depth,
    maxWaitSeconds: entry.max_wait_days * 86_400,
    guard: toGuard(entry),
  }
}

/** Valibot's own messages quote what they refuse, so only ours are told. */
function describe(issue: v.BaseIssue<unknown>): string {
  const path = issue.path?.map(({ key }) => `.${String(key).slice(0, 64)}`) ?? []
  const place = path.join('').replaceAll(/\.(\d+)(?=\.|$)/g, '[$1]')
  if (issue.expected === 'never') return `${place}: is not known`
  if (issue.input === undefined) return `${place}: is missing`
  return `${place}: ${issue.message.startsWith('Invalid') ? 'is not usable' : issue.message}`
}

function duplicates(list: readonly unknown[]): string[] {
  const ids = list.map(idOf)
  return ids.flatMap((id, index) => {
    const first = ids.indexOf(id)
    return id === null || first === index ? [] : [`CHAINS[${index}].id: is that of CHAINS[${first}] too`]
  })
}

function idOf(entry: unknown): number | null {
  const { id } = asObject(entry)
  return typeof id === 'number' && Number.isSafeInteger(id) && id > 0 ? id : null
}

function asObject(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? { ...value } : {}
}
