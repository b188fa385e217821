import * as v from 'valibot'
import { type ChainSettings, parseChains } from './chain/config.ts'
import { ConfigError } from './config-error.ts'
import type { QueueBounds } from './jobs/enqueue.ts'

const seconds = (fallback: number) =>
  v.optional(v.pipe(v.union([v.string(), v.number()]), v.toNumber(), v.minValue(1)), fallback)
const amount = (fallback: number) =>
  v.optional(
    v.pipe(
      v.union([v.string(), v.number()]),
      v.toNumber(),
      v.integer(),
      v.minValue(1),
      v.maxValue(10_000_000),
    ),
    fallback,
  )
const secret = v.pipe(v.string(), v.minLength(16, 'must be at least 16 characters'))

/** The edge's vars and secrets, as `wrangler.toml` names them, with every default. */
export const Config = v.object({
  DATABASE_URL: v.pipe(
    v.string(),
    v.regex(/^(https?|libsql|file):/, 'must begin with https:, http:, libsql: or (outside Workers) file:'),
  ),
  DATABASE_TOKEN: v.optional(v.string()),
  ADMIN_TOKEN: v.optional(secret),
  ORIGIN: v.pipe(
    v.string(),
    v.url('must be the public URL of this edge, such as https://node.example.com'),
    v.transform(url => new URL(url).origin),
    v.description('Audience of runner tokens.'),
  ),
  CLIENT_IP_HEADER: v.optional(
    v.pipe(v.string(), v.regex(/^[a-z0-9-]+$/, 'must be a header name in lower case')),
    'cf-connecting-ip',
  ),
  MAX_QUEUED_PER_OWNER: amount(10_000),
  MAX_QUEUED: amount(100_000),
  MAX_QUEUED_MIB_PER_OWNER: amount(1_024),
  MAX_QUEUED_MIB: amount(16_384),
  MAX_TRIES: amount(3),
  LEASE_SECONDS: seconds(60),
  HEARTBEAT_SECONDS: seconds(20),
  MAX_RUN_SECONDS: seconds(24 * 3600),
  QUEUE_EXPIRY_SECONDS: seconds(24 * 3600),
  RETENTION_SECONDS: seconds(7 * 24 * 3600),
  LEDGER_RETENTION_DAYS: amount(3_653),
  STREAM_EXPIRY_SECONDS: seconds(60),
  STREAM_STORED_MIB: amount(16),
  // What is in it, and whether it is text at all, is for `parseChains` to say.
  CHAINS: v.optional(v.unknown()),
})
/** `chains`: those of `CHAINS`, with their secrets. */
export type Config = v.InferOutput<typeof Config> & { chains: ChainSettings[] }

const Checked = v.pipe(
  Config,
  v.forward(
    v.check(
      config => config.HEARTBEAT_SECONDS < config.LEASE_SECONDS,
      'must be less than LEASE_SECONDS, or every lease is lost',
    ),
    ['HEARTBEAT_SECONDS'],
  ),
)

const mebibyte = 1024 * 1024

export function queueBoundsOf(config: Config): QueueBounds {
  return {
    maxQueuedPerOwner: config.MAX_QUEUED_PER_OWNER,
    maxQueued: config.MAX_QUEUED,
    maxBytesPerOwner: config.MAX_QUEUED_MIB_PER_OWNER * mebibyte,
    maxBytes: config.MAX_QUEUED_MIB * mebibyte,
  }
}

/** Of a stream's output, stored at most. */
export function storedBytesOf({ STREAM_STORED_MIB }: Pick<Config, 'STREAM_STORED_MIB'>): number {
  return STREAM_STORED_MIB * mebibyte
}

/** What relays need to know. */
export function relayOptionsOf(config: Config): { storedBytes: number; leaseMs: number } {
  return { storedBytes: storedBytesOf(config), leaseMs: config.LEASE_SECONDS * 1000 }
}

/** @throws ConfigError naming every var that is missing or wrong, never its value. */
export function parseConfig(env: unknown): Config {
  const parsed = v.safeParse(Checked, env)
  const chains = chainsOf(env)
  const problems = [
    ...(parsed.issues ?? []).map(issue => `${v.getDotPath(issue) ?? 'configuration'}: ${problem(issue)}`),
    ...chains.problems,
  ]
  if (!parsed.success || problems.length > 0) throw new ConfigError(problems)
  return { ...parsed.output, chains: chains.settings }
}

function chainsOf(env: unknown): { settings: ChainSettings[]; problems: readonly string[] } {
  try {
    return { settings: parseChains(env), problems: [] }
  } catch (error) {
    if (error instanceof ConfigError) return { settings: [], problems: error.problems }
    throw error
  }
}

function problem(issue: v.BaseIssue<unknown>): string {
  if (issue.received === 'undefined') return 'is missing'
  return issue.message.startsWith('Invalid') ? 'is not usable' : issue.message
}
