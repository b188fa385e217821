import { stat } from 'node:fs/promises'
import type { Config } from '../config/config.ts'
import { ConfigError } from '../config/problem.ts'
import { loadKey } from '../key/load.ts'
import { type Check, type Finding, ill, well } from './check.ts'

/** That it is a key, and its owner's alone. */
export function keyCheck({ edge: { keyFile } }: Pick<Config, 'edge'>): Check {
  return {
    name: 'key',
    async run() {
      const key = await loadKey(keyFile).catch(refusedKey)
      if ('problems' in key) return toldIn(key)
      const mode = (await stat(keyFile)).mode & 0o777
      if ((mode & 0o077) !== 0)
        return ill(
          `${keyFile} has mode ${mode.toString(8)}: others than its owner may use it`,
          `chmod 600 ${keyFile}`,
        )
      return well(`${keyFile}, runner id ${key.id}`)
    },
  }
}

function refusedKey(error: unknown): ConfigError {
  if (error instanceof ConfigError) return error
  throw error
}

function toldIn({ problems: [problem], message }: ConfigError): Finding {
  return problem ? ill(problem.what, problem.fix) : ill(message, 'see the message')
}
