import type * as v from 'valibot'
import type { JobRequest } from '../protocol/job.ts'
import { limits } from '../protocol/limits.ts'
import { InfernetError, invalid } from './error.ts'

/**
 * The input of the first container: `data`, or `dataJson`: the JSON text of an object, which reaches it byte for byte, numbers that
 * JavaScript cannot hold included.
 */
export type Input = { data: Record<string, unknown>; dataJson?: never } | { dataJson: string; data?: never }

/** A job to create. */
export type NewJob = v.InferInput<typeof JobRequest> & Input

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
export function toJobText({ requires_proof, ...terms }: NewJob): string {
  const { containers, requires, timeout, expires_in, priority, detach } = terms
  checkNumbers({ timeout, expires_in, priority, ...(typeof detach === 'number' && { detach }) })
  // What is not asked for is not in the text.
  const fields = JSON.stringify({
    containers,
    requires_proof: requires_proof ?? false,
    requires: requires ?? undefined,
    timeout,
    expires_in,
    priority,
    detach: detach === false ? undefined : detach,
  })
  return withInput(fields, terms)
}

/** Adds the input to the JSON text of an object that is not empty. */
export function withInput(fields: string, input: Input): string {
  return `${fields.slice(0, -1)},"data":${inputText(input)}}`
}

/** The JSON text of an input, as it stands in a body. */
export function inputText({ data, dataJson }: Input): string {
  return dataJson === undefined ? JSON.stringify(data) : checked(dataJson)
}

/** JSON has no word for NaN and the infinities: they would be sent as null, which asks for nothing. */
function checkNumbers(terms: Record<string, number | null | undefined>): void {
  for (const [field, value] of Object.entries(terms)) {
    if (typeof value !== 'number' || Number.isFinite(value)) continue
    throw invalid(`Invalid field: ${field}: must be a finite number`, { field })
  }
}

/** A text that is not the JSON of one object could end the input early and go on with fields of its own. */
function checked(json: string): string {
  if (json.isWellFormed() && isObject(json)) return json
  throw invalid('The input is not the JSON text of an object')
}

function isObject(json: string): boolean {
  try {
    const value: unknown = JSON.parse(json)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
  } catch {
    return false
  }
}
