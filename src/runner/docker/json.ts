import * as v from 'valibot'
import type { Engine, EngineRequest } from './engine.ts'
import { EngineError } from './engine.ts'

/** `withinMs`: where it may not take 30 s; what may take longer brings a signal of its own. */
type TimedRequest = EngineRequest & { withinMs?: number }

/** For an answer that is short work; a busy host takes seconds for it. */
const answerMs = 30_000

/**
 * Reads an answer of the engine; only the fields that we use are looked at.
 * @throws what the engine fails by, or an error that says that it has not answered
 */
export async function askEngine<T extends v.GenericSchema>(
  engine: Engine,
  request: TimedRequest,
  answer: T,
): Promise<v.InferOutput<T>> {
  return await inTime(request, async signal => {
    const { body } = await engine.send({ ...request, signal })
    return v.parse(answer, await body.json())
  })
}

/** As `askEngine`, for requests whose answer has no body worth reading. */
export async function tellEngine(engine: Engine, request: TimedRequest): Promise<void> {
  await inTime(request, async signal => {
    const { body } = await engine.send({ ...request, signal })
    await body.dump()
  })
}

/** An engine may hang with one request and answer the next one: whoever waits for it without end would hold up all that come after. */
async function inTime<T>(
  { method, path, signal, withinMs = answerMs }: TimedRequest,
  asked: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  if (signal !== undefined) return await asked(signal)
  const late = AbortSignal.timeout(withinMs)
  try {
    return await asked(late)
  } catch (error) {
    if (!late.aborted) throw error
    const [what] = path.split('?')
    const told = `Docker's engine has not answered ${method} ${what} within ${withinMs / 1000} s`
    throw new Error(told, { cause: error })
  }
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
