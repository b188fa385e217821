import { messageOf } from '../trouble.ts'
import { listOwn } from './own.ts'
import { scopeOf } from './scope.ts'
import { removeContainer, type StopOptions } from './stop.ts'

/**
 * Ends what earlier processes have left here and nobody wants any more, side by side. One that does not go is told of in the log, and
 * holds up nobody. Answers how many there were, and the ids of those that did not go.
 * @throws what the engine fails by when it is asked for them
 */
export async function removeLeftovers(
  isWanted: (id: string) => boolean,
  options: StopOptions,
): Promise<{ count: number; stayed: string[] }> {
  const { engine, config, log } = options
  const own = await listOwn(engine, scopeOf(config))
  const left = [...new Set(own.map(({ id }) => id))].filter(id => !isWanted(id))
  const stayed: string[] = []
  await Promise.all(
    left.map(id => {
      log.info('Removing a container that is not configured any more', { container: id })
      return removeContainer(id, options).catch((error: unknown) => {
        log.warn('A container could not be removed', { container: id, error: messageOf(error) })
        stayed.push(id)
      })
    }),
  )
  return { count: left.length, stayed }
}
