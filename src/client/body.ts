import type * as v from 'valibot'
import type { JobRequest } from '../protocol/job.ts'
import { limits } from '../protocol/limits.ts'
import { InfernetError } from './error.ts'

/**
 * A job to create. Its input is `data`, or `dataJson`: the JSON text of an object, which reaches the first container byte for
 * byte, numbers that JavaScript cannot hold included.
 */
export type NewJob = v.InferInput<typeof JobRequest> &
  ({ data: Record<string, unknown>; dataJson?: never } | { dataJson: string; data?: never })

const encoder = new TextEncoder()

/** @throws InfernetError `body_too_large` here, since a node that refuses a body half-way may not be heard. */
export function toBody(text: string): Uint8Array<ArrayBuffer> {
  const body = encoder.encode(text)
  if (body.byteLength <= limits.bodyBytes) return body
  throw new InfernetError('Request body too large', {
    status: null,
    code: 'body_too_large',
    params: { limit: limits.bodyBytes },
  })
}

/** The JSON text of a job, its input spliced in as it stands. */
export function toJobText({ data, dataJson, requires_proof, ...terms }: NewJob): string {
  const input = dataJson === undefined ? JSON.stringify(data) : checked(dataJson)
  const { containers, timeout, expires_in, priority, detach } = terms
  checkNumbers({ timeout, expires_in, priority, ...(typeof detach === 'number' && { detach }) })
  // What is not asked for is not in the text.
  const fields = JSON.stringify({
    containers,
    requires_proof: requires_proof ?? false,
    timeout,
    expires_in,
    priority,
    detach: detach === false ? undefined : detach,
  })
  return `${fields.slice(0, -1)},"data":${input}}`
}

/** JSON has no word for NaN and the infinities: they would be sent as null, which asks for nothing. */
function checkNumbers(terms: Record<string, number | null | undefined>): void {
  for (const [field, value] of Object.entries(terms)) {
    if (typeof value !== 'number' || Number.isFinite(value)) continue
    throw new InfernetError(`Invalid field: ${field}: must be a finite number`, {
      ...{ status: null, code: 'invalid_request', params: { field } },
    })
  }
}

/** A text that is not the JSON of one object could end the input early and go on with fields of its own. */
function checked(json: string): string {
  if (json.isWellFormed() && isObject(json)) return json
  throw new InfernetError('The input is not the JSON text of an object', {
    status: null,
    code: 'invalid_request',
  })
}

function isObject(json: string): boolean {
  try {
    const value: unknown = JSON.parse(json)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
  } catch {
    return false
  }
}
