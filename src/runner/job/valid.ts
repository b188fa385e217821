import { isUtf8 } from 'node:buffer'
import { JsonLimitError, JsonSyntaxError } from '../../protocol/json-errors.ts'
import { createScanner } from '../../protocol/json-scan.ts'

/** The text of a small reply if it is JSON in UTF-8, else null. */
export function jsonText(bytes: Uint8Array): string | null {
  if (!isUtf8(bytes)) return null
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')
  try {
    JSON.parse(text)
    return text
  } catch {
    return null
  }
}

export type Validator = {
  /** False as soon as the text cannot be JSON any more. */
  push(chunk: Uint8Array): boolean
  end(): boolean
}

const opening = Buffer.from('{"reply":')
const closing = Buffer.from('}')
/** Far beyond what a parser down the line takes; bounds our own stack of brackets. */
const maxDepth = 10_000
/** Room for the envelope and for whitespace around a reply. */
const maxFieldBytes = 64 * 1024

/**
 * Checks a large reply as it passes, in constant memory. The scanner collects the fields of an object and lets one carried value
 * through, so the reply is shown to it as the only, carried field of an object: a text that would add a field is not one value.
 */
export function createValidator(): Validator {
  const scanner = createScanner({ carry: 'reply', maxItems: null, maxDepth, maxFieldBytes })
  let whole = false

  function attempt(step: () => void): boolean {
    try {
      step()
      return true
    } catch (error) {
      if (error instanceof JsonSyntaxError || error instanceof JsonLimitError) return false
      throw error
    }
  }

  attempt(() => scanner.push(opening, () => {}))
  return {
    push: chunk => attempt(() => scanner.push(chunk, () => {})),
    end: () =>
      attempt(() => {
        scanner.push(closing, event => {
          if (event.kind === 'end' && event.fields !== null)
            whole = Object.keys(JSON.parse(Buffer.from(event.fields).toString())).length === 1
        })
        scanner.end(() => {})
      }) && whole,
  }
}
