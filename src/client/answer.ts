import * as v from 'valibot'
import { InfernetError } from './error.ts'
import type { Answer } from './transport.ts'

/** The JSON text of an answer. @throws InfernetError `bad_answer` when its bytes are no text. */
export function textOf(answer: Answer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(answer.bytes)
  } catch (cause) {
    throw badAnswer(answer, 'not UTF-8', cause)
  }
}

/** Parses an answer. @throws InfernetError `bad_answer` when it is not what the protocol says. */
export function parse<Schema extends v.GenericSchema>(schema: Schema, answer: Answer): v.InferOutput<Schema> {
  const parsed = v.safeParse(schema, toValue(answer))
  if (parsed.success) return parsed.output
  const [problem] = parsed.issues
  const path = v.getDotPath(problem)
  throw badAnswer(answer, `${path ? `${path}: ` : ''}expected ${problem.expected ?? problem.type}`)
}

export function badAnswer({ request, status }: Answer, what: string, cause?: unknown): InfernetError {
  const message = `The answer to ${request.method} ${request.path} is not the protocol's: ${what}`
  return new InfernetError(message, { status, code: 'bad_answer', cause })
}

function toValue(answer: Answer): unknown {
  const text = textOf(answer)
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw badAnswer(answer, 'not JSON', cause)
  }
}
