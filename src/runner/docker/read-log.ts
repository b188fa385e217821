import type { Engine } from './engine.ts'
import { type Piece, pieces } from './frames.ts'

export type ReadLogOptions = { name: string; tail: number | 'all'; follow: boolean; signal: AbortSignal }

/** What a container has written, and what it goes on to write. Fails with EngineError 404 when there is no such container. */
export async function readLog(
  engine: Engine,
  { name, tail, follow, signal }: ReadLogOptions,
): Promise<AsyncIterable<Piece>> {
  const path = `/containers/${name}/logs?stdout=1&stderr=1&tail=${tail}&follow=${follow ? 1 : 0}`
  const { body } = await engine.send({ method: 'GET', path, signal })
  return pieces(body)
}
