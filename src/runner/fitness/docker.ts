import { messageOf } from '../trouble.ts'
import type { Found } from './found.ts'

/**
 * `error` null: the engine answers. `silent`: its containers that do not answer either. The others work without it, for hours where an engine
 * hangs: what calls them finds out when one does no more.
 */
export function checkEngine({ error, silent }: { error: unknown; silent: readonly string[] }): Found[] {
  if (error === null) return []
  const detail = `Docker's engine does not answer: ${messageOf(error)}`
  return [{ code: 'docker_unreachable', detail, containers: silent }]
}
