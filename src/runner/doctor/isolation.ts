import type { Config } from '../config/config.ts'
import { type Host, readHost } from '../confine/host.ts'
import { usualBridge } from '../confine/network.ts'
import {
  bridgesElsewhere,
  type IsolationProblem,
  isolationProblems,
  obstacleOf,
} from '../confine/problems.ts'
import type { Engine } from '../docker/engine.ts'
import { messageOf } from '../trouble.ts'
import { type Check, type Finding, ill, well } from './check.ts'

export type IsolationOptions = { config: Config; engine: Engine; dockerHost: string | undefined }

/** That containers are kept in their place. Who wants none of that says so: `egress` `open`. */
export function isolationChecks(
  { config, engine, dockerHost }: IsolationOptions,
  host: Host = readHost(dockerHost),
): Check[] {
  if (!config.containers.some(({ managed }) => managed)) return []
  return [
    {
      name: 'isolation',
      async run() {
        const why = (await unreadable(host)) ?? (await elsewhere(host, engine))
        return judged(isolationProblems(config, host, () => why))
      },
    },
  ]
}

/** Reading the rules takes the program and the right that setting them takes. Null: they can be read. */
async function unreadable(host: Host): Promise<string | null> {
  if (obstacleOf(host) !== null) return null
  const read = Promise.all(host.tables.map(table => table.save()))
  return await read.then(() => null, messageOf)
}

/** Rules here do nothing for bridges in another place: of an engine without root, or beside a runner in a container. An engine that is away has a check of its own. */
async function elsewhere(host: Host, engine: Engine): Promise<string | null> {
  if (obstacleOf(host) !== null) return null
  const bridge = await usualBridge(engine).catch(() => null)
  return bridge === null || (await host.hasInterface(bridge)) ? null : bridgesElsewhere
}

function judged(problems: readonly IsolationProblem[]): Finding {
  const [first] = problems
  if (first === undefined) return well('containers are kept in their place')
  const told = problems.map(({ container, what }) => `${container}: ${what}`).join('; ')
  return ill(told, first.fix)
}
