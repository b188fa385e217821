import * as v from 'valibot'
import { excerpt, type Failure } from '../job/failure.ts'

/** A prediction but for its output, as Cog answers it and as it ends a stream. */
export const Prediction = v.object({ status: v.string(), error: v.nullish(v.unknown()) })
export type Prediction = v.InferOutput<typeof Prediction>

/** Null of one that has succeeded. */
export function failureOf({ status, error }: Prediction): Failure | null {
  switch (status) {
    case 'succeeded':
      return null
    case 'failed': {
      const said = typeof error === 'string' ? error : JSON.stringify(error ?? '')
      const text = excerpt(Buffer.from(said)).trim()
      return { code: 'prediction_failed', error: text || 'The prediction failed', detail: 'status failed' }
    }
    case 'canceled':
    case 'aborted': {
      const text = `The container has ${status} the prediction by itself`
      return { code: 'prediction_failed', error: text, detail: `status ${status}` }
    }
    default: {
      const text = `The container answered with a prediction that is not at its end: ${status.slice(0, 64)}`
      return { code: 'invalid_output', error: text, detail: text }
    }
  }
}
