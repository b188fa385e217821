import * as v from 'valibot'
import type { Engine, EngineRequest } from './engine.ts'
import { EngineError } from './engine.ts'

/** Reads an answer of the engine; only the fields that we use are looked at. */
export async function askEngine<T extends v.GenericSchema>(
  engine: Engine,
  request: EngineRequest,
  answer: T,
): Promise<v.InferOutput<T>> {
  const { body } = await engine.send(request)
  return v.parse(answer, await body.json())
}

/** For requests whose answer has no body worth reading. */
export async function tellEngine(engine: Engine, request: EngineRequest): Promise<void> {
  const { body } = await engine.send(request)
  await body.dump()
}

/** The thing, or null when the engine does not have it. */
export async function orNull<T>(asked: Promise<T>): Promise<T | null> {
  try {
    return await asked
  } catch (error) {
    if (error instanceof EngineError && error.status === 404) return null
    throw error
  }
}
