import { DownError } from '../cause.ts'
import type { Container } from '../config/config.ts'
import { EngineError } from './engine.ts'
import { splitWords } from './words.ts'

/** The engine will not make a container, or start it. Its words quote commands and paths: they are for the local log alone. */
export class RefusedError extends DownError {
  override readonly name = 'RefusedError'

  constructor(what: string, status: number, cause: Error) {
    super(
      'container_unavailable',
      `Docker does not ${what} it (status ${status}); its runner's log says why`,
      {
        cause,
      },
    )
  }

  override told(): string {
    return this.message
  }
}

export type Refusal = { what: 'make' | 'start'; secrets: readonly string[] }

/** A refusal of the engine without what stays on this host; any other error as it is. */
export function refusedBy(error: unknown, { what, secrets }: Refusal): unknown {
  if (!(error instanceof EngineError)) return error
  return new RefusedError(what, error.status, new Error(masked(error.message, secrets)))
}

/** What of a container's configuration is logged nowhere: its command, `env` and volumes, whole and in parts. Longest first. */
export function secretsOf({
  command,
  env,
  volumes,
}: Pick<Container, 'command' | 'env' | 'volumes'>): string[] {
  const pairs = Object.entries(env).map(([name, value]) => `${name}=${value}`)
  const parts = [
    ...[command, ...splitWords(command)],
    ...[...pairs, ...Object.values(env)],
    ...volumes.flatMap(bind => [bind, ...bind.split(':')]),
  ]
  // The engine quotes what it names.
  const written = parts.flatMap(part => [part, JSON.stringify(part).slice(1, -1)])
  return [...new Set(written)].filter(part => part.length >= leastChars).sort((a, b) => b.length - a.length)
}

/** What is shorter hides nothing, and is in every sentence. */
const leastChars = 3

function masked(text: string, secrets: readonly string[]): string {
  return secrets.reduce((rest, secret) => rest.replaceAll(secret, '***'), text)
}
