import type { Config } from '../config/config.ts'
import type { Engine } from '../docker/engine.ts'
import type { RunnerKey } from '../key/key.ts'
import type { Check } from './check.ts'
import { spoolCheck } from './disk.ts'
import { dockerChecks } from './docker.ts'
import { clockCheck, edgeCheck, enrolmentCheck } from './edge.ts'
import { elsewhereChecks } from './elsewhere.ts'
import { gpuChecks } from './gpu.ts'
import { isolationChecks } from './isolation.ts'
import { keyCheck } from './key.ts'

export type ChecksOptions = {
  config: Config
  /** Null when it could not be loaded, which its own check tells. */
  key: RunnerKey | null
  engine: Engine
  dockerHost: string | undefined
}

/** Everything that is looked at, in the order in which it is told. */
export function checksOf({ config, key, engine, dockerHost }: ChecksOptions): Check[] {
  return [
    keyCheck(config),
    edgeCheck({ config }),
    clockCheck({ config }),
    ...(key === null ? [] : [enrolmentCheck({ config, key })]),
    spoolCheck(config),
    ...dockerChecks({ config, engine, dockerHost }),
    ...gpuChecks({ config, engine, dockerHost }),
    ...isolationChecks({ config, engine, dockerHost }),
    ...elsewhereChecks(config),
  ]
}
