import { validator } from 'hono-openapi'
import * as v from 'valibot'
import { refuse } from './refuse.ts'

type Target = 'json' | 'query' | 'param'

/** Of a path into a body: its steps may be keys that the sender chose. */
const maxPathLength = 128

/** What valibot's own messages end with: the value, line ends and all. */
const received = /( but r|: R)eceived [\s\S]*/

/** Validates a part of a request, and answers in our error shape, without echoing what was sent. */
export function valid<Schema extends v.GenericSchema, const In extends Target>(target: In, schema: Schema) {
  // The first problem is all that is told: noting each of five million took an isolate's whole memory.
  return validator(target, v.config(schema, { abortEarly: true }), (result, c) => {
    if (result.success) return
    const [issue] = result.error
    const path = issue?.path?.map(step => String(typeof step === 'object' ? step.key : step)).join('.') ?? ''
    const problem = issue?.message.replace(received, '') ?? 'not valid'
    return refuse(c, {
      code: 'invalid_request',
      error: `Invalid ${target}: ${path ? `${path.slice(0, maxPathLength)}: ` : ''}${problem}`,
    })
  })
}
