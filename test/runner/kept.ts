import { Agent } from 'undici'
import type { Config } from '../../src/runner/config/config.ts'
import { createConfinement } from '../../src/runner/confine/confine.ts'
import { type Host, readHost } from '../../src/runner/confine/host.ts'
import { createContainers } from '../../src/runner/containers.ts'
import { createEngine } from '../../src/runner/docker/engine.ts'
import { createEvents } from '../../src/runner/docker/events.ts'
import { scopeOf } from '../../src/runner/docker/scope.ts'
import { createDrain } from '../../src/runner/drain.ts'
import { createFleet } from '../../src/runner/fleet.ts'
import { createGpus } from '../../src/runner/gpu/gpus.ts'
import { keepRunning } from '../../src/runner/loop.ts'
import { createReach } from '../../src/runner/reach.ts'
import { createSlots } from '../../src/runner/slots.ts'

/** Keeps the containers of a configuration on the real engine as a runner does, without one. `unusual`: of this host. */
export async function keepFleet(config: Config, unusual: Partial<Host> = {}) {
  const scope = scopeOf(config)
  const controller = new AbortController()
  const { signal } = controller
  const agent = new Agent()
  const engine = createEngine(process.env.DOCKER_HOST)
  const seen = createContainers(config.containers)
  const logged: { event: string; fields: object }[] = []
  const say = (event: string, fields: object = {}) => void logged.push({ event, fields })
  const log = { debug: say, info: say, warn: say, error: say }
  const host = { ...readHost(process.env.DOCKER_HOST), ...unusual }
  const confinement = createConfinement({ scope, engine, host, log, signal })
  const events = createEvents({ engine, scope, log, signal })
  const fleet = createFleet({
    engine,
    events,
    confinement,
    relief: { excessOf: () => null },
    gpus: createGpus(async () => ({ kind: 'hidden' })),
    containers: seen,
    drain: createDrain({ containers: seen, slots: createSlots(seen), timeoutMs: () => 0, log, signal }),
    reach: createReach({ containers: seen, agent, log, signal }),
    agent,
    log,
    signal,
  })
  await fleet.apply(config)
  const loops = [events.listen(), keepRunning('confinement', confinement.watch, { log, signal })]
  let ended = false

  async function end(): Promise<void> {
    if (ended) return
    ended = true
    controller.abort()
    await fleet.stop(() => ({ graceSeconds: 0 }))
    await Promise.all(loops)
    await Promise.all([agent.destroy(), engine.close()])
  }

  return { scope, seen, logged, confinement, fleet, end }
}
