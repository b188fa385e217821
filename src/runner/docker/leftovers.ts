import * as v from 'valibot'
import type { Engine } from './engine.ts'
import { askEngine } from './json.ts'
import { scopeOf } from './scope.ts'
import { label } from './spec.ts'
import { removeContainer, type StopOptions } from './stop.ts'

const Listed = v.array(v.object({ Labels: v.record(v.string(), v.string()) }))

/**
 * Ends what earlier processes have left here and nobody wants any more, side by side. One that does not go is told of in the log, and
 * holds up nobody. Answers how many there were.
 * @throws what the engine fails by when it is asked for them
 */
export async function removeLeftovers(
  isWanted: (id: string) => boolean,
  options: StopOptions,
): Promise<number> {
  const { engine, config, log } = options
  const left = (await listContainers(engine, scopeOf(config))).filter(id => !isWanted(id))
  await Promise.all(
    left.map(id => {
      log.info('Removing a container that is not configured any more', { container: id })
      return removeContainer(id, options)
    }),
  )
  return left.length
}

/** Ids of this runner's containers, whether they run or not. */
async function listContainers(engine: Engine, scope: string): Promise<string[]> {
  const filters = encodeURIComponent(JSON.stringify({ label: [`${label.scope}=${scope}`] }))
  const path = `/containers/json?all=1&filters=${filters}`
  const found = await askEngine(engine, { method: 'GET', path }, Listed)
  return found.flatMap(({ Labels }) => Labels[label.container] ?? [])
}
