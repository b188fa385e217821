import { validator } from 'hono-openapi'
import type { GenericSchema } from 'valibot'
import { refuse } from './refuse.ts'

type Target = 'json' | 'query' | 'param'

/** Validates a part of a request, and answers in our error shape, without echoing what was sent. */
export function valid<Schema extends GenericSchema, const In extends Target>(target: In, schema: Schema) {
  return validator(target, schema, (result, c) => {
    if (result.success) return
    const [issue] = result.error
    const path = issue?.path?.map(step => String(typeof step === 'object' ? step.key : step)).join('.') ?? ''
    const problem = issue?.message.replace(/ but received .*/, '') ?? 'not valid'
    return refuse(c, {
      code: 'invalid_request',
      error: `Invalid ${target}: ${path ? `${path}: ` : ''}${problem}`,
    })
  })
}
