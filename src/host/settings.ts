import { secretNames } from '../edge/chain/config.ts'
import { Config, parseConfig } from '../edge/config.ts'
import { ConfigError } from '../edge/config-error.ts'

/** The vars and secrets that the edge reads; `CHAINS` names some of them. */
export function settingNames({ CHAINS }: { CHAINS?: unknown }): string[] {
  return [...Object.keys(Config.entries), ...secretNames(CHAINS)]
}

/**
 * The edge's configuration from environment variables, each asked for by name: Deno lets a process read those that it names. A
 * client is known by its socket unless a header is named, since no platform stands in front that would set one. Something does if the
 * outside speaks TLS, which this server does not, and by its socket every client would be the same.
 * @throws ConfigError naming every variable that is missing or wrong.
 */
export function readSettings(env: Record<string, string | undefined>): Config {
  const set = settingNames(env)
    .map(name => [name, env[name]])
    .filter(([, value]) => value !== undefined)
  const config = parseConfig({ CLIENT_IP_HEADER: 'socket', ...Object.fromEntries(set) })
  if (env.CLIENT_IP_HEADER !== undefined || config.ORIGIN.startsWith('http:')) return config
  throw new ConfigError([
    "CLIENT_IP_HEADER: is missing: name the header that the proxy in front sets to the client's address, since ORIGIN begins with https:.",
  ])
}
