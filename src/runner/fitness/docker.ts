import { messageOf } from '../trouble.ts'
import type { Found } from './found.ts'

/** `error` null: the engine answers. */
export function checkEngine({ error, users }: { error: unknown; users: readonly string[] }): Found[] {
  if (error === null || users.length === 0) return []
  const detail = `Docker's engine does not answer: ${messageOf(error)}`
  return [{ code: 'docker_unreachable', detail, containers: users }]
}
