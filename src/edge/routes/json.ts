import { createMachine } from '../../protocol/json-machine.ts'
import { limits } from '../../protocol/limits.ts'

/** Whether a text is JSON, and what it says is as it should be. */
export function isJson(text: string, is: (value: unknown) => boolean): boolean {
  try {
    return is(JSON.parse(text))
  } catch {
    return false
  }
}

const encoder = new TextEncoder()

/** Whether a text is JSON that nests no deeper than a job's body may: beyond some depth it cannot be written out again. */
export function isShallowJson(text: string): boolean {
  const ignore = () => undefined
  const refuse = (): never => {
    throw new Error('Not JSON, or too deep')
  }
  const marks = { begin: ignore, end: ignore, beginKey: ignore, endKey: ignore, refuse }
  const machine = createMachine({ maxDepth: limits.jsonDepth, watchDepth: 0, marks })
  try {
    machine.push(encoder.encode(text))
    machine.end()
    return true
  } catch {
    return false
  }
}

const quote = 0x22
const backslash = 0x5c
const comma = 0x2c
const openArray = 0x5b
const openObject = 0x7b

/** How many values a JSON text holds, about: what parsing it takes goes by that, not by its length. */
export function countValues(text: string): number {
  let count = 0
  let inString = false
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index)
    if (inString) {
      if (code === backslash) index += 1
      else if (code === quote) inString = false
    } else if (code === quote) inString = true
    else if (code === comma || code === openArray || code === openObject) count += 1
  }
  return count
}
