import { Config, parseConfig } from '../edge/config.ts'

/** The vars and secrets that the edge reads. */
export const settingNames = Object.keys(Config.entries)

/**
 * The edge's configuration from environment variables, each asked for by name: Deno lets a process read those that it names. A
 * client is known by its socket unless a header is named, since no platform stands in front that would set one.
 * @throws ConfigError naming every variable that is missing or wrong.
 */
export function readSettings(env: Record<string, string | undefined>): Config {
  const set = settingNames.map(name => [name, env[name]]).filter(([, value]) => value !== undefined)
  return parseConfig({ CLIENT_IP_HEADER: 'socket', ...Object.fromEntries(set) })
}
