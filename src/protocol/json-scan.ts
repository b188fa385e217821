import { JsonLimitError, JsonShapeError, JsonSyntaxError } from './json-errors.ts'
import { createFields } from './json-fields.ts'
import { createMachine } from './json-machine.ts'

export type JsonType = 'object' | 'array' | 'string' | 'number' | 'boolean' | 'null'

export type ScanEvent =
  /** An item begins: the root, or an element of the root list. */
  | { kind: 'item'; type: JsonType }
  /** The next piece of the item's carried value: a view of the chunk being pushed, never empty. */
  | { kind: 'data'; bytes: Uint8Array }
  /**
   * The item is complete. `fields` is its JSON text with `null` where the carried value stood, the caller's to keep;
   * null when the item is not an object. `carried` is the type of the carried value; null when there was none.
   */
  | { kind: 'end'; fields: Uint8Array | null; carried: JsonType | null }

export type Emit = (event: ScanEvent) => void

export type ScanOptions = {
  /** The key, in ASCII, whose value in each item is passed on as it stands. */
  carry: string
  /** null: the root is the one item. A number: the root is a list of at most so many items. */
  maxItems: number | null
  /** The most arrays and objects that may lie in each other, the root counted. */
  maxDepth: number
  /** The longest that `fields` may get for one item, in bytes, whitespace counted. */
  maxFieldBytes: number
}

export type Scanner = {
  /** Throws `JsonSyntaxError`, `JsonLimitError`, `JsonShapeError`, and whatever `emit` throws. */
  push(chunk: Uint8Array, emit: Emit): void
  /** Says that the text is complete; throws `JsonSyntaxError` if it is not. */
  end(emit: Emit): void
}

const NOTHING = new Uint8Array(0)
const NULL = Uint8Array.of(0x6e, 0x75, 0x6c, 0x6c)

function typeOf(firstByte: number | undefined): JsonType {
  switch (firstByte) {
    case 0x7b:
      return 'object'
    case 0x5b:
      return 'array'
    case 0x22:
      return 'string'
    case 0x74:
    case 0x66:
      return 'boolean'
    case 0x6e:
      return 'null'
    default:
      return 'number'
  }
}

/**
 * Reads a request body chunk by chunk: checks that it is JSON in UTF-8, passes the bytes of the carried value on
 * untouched, and collects the rest of each item for `JSON.parse`. Memory is bounded by the options, not by the body.
 * What is accepted or refused, and with which error, does not depend on where the chunks are cut. A scanner that has
 * thrown takes nothing more.
 */
export function createScanner(options: ScanOptions): Scanner {
  const { carry, maxItems, maxDepth, maxFieldBytes } = options
  const itemDepth = maxItems === null ? 0 : 1
  const fieldDepth = itemDepth + 1
  const fields = createFields(maxFieldBytes)

  let emit: Emit = () => {}
  let spent = false
  let chunk: Uint8Array = NOTHING
  /** Bytes of the text before `chunk`. */
  let offset = 0
  let items = 0
  /** Where the bytes of `chunk` from `from` on belong; null: nowhere (around items, or in one that is no object). */
  let target: 'fields' | 'data' | null = null
  let from = 0
  let key = { offset: 0, at: 0 }
  let carryNext = false
  let carried: JsonType | null = null

  function flush(to: number): void {
    if (target === 'fields') fields.append(chunk, from, to)
    else if (target === 'data' && to > from) emit({ kind: 'data', bytes: chunk.subarray(from, to) })
    from = to
  }

  function begin(depth: number, index: number): void {
    const type = typeOf(chunk[index])
    if (depth === itemDepth) beginItem(type, index)
    else if (depth < itemDepth && type !== 'array') throw new JsonShapeError()
    else if (carryNext) beginCarried(type, index)
  }

  function beginItem(type: JsonType, index: number): void {
    if (maxItems !== null && ++items > maxItems)
      throw new JsonLimitError('items', `More than ${maxItems} items`)
    carried = null
    target = type === 'object' ? 'fields' : null
    from = index
    emit({ kind: 'item', type })
  }

  function beginCarried(type: JsonType, index: number): void {
    flush(index)
    fields.append(NULL, 0, NULL.length)
    carryNext = false
    carried = type
    target = 'data'
  }

  function end(depth: number, index: number): void {
    if (depth === itemDepth) {
      const isObject = target === 'fields'
      flush(index)
      target = null
      emit({ kind: 'end', fields: isObject ? fields.take() : null, carried })
    } else if (depth === fieldDepth && target === 'data') {
      flush(index)
      target = 'fields'
    }
  }

  function beginKey(index: number): void {
    flush(index)
    key = { offset: offset + index, at: fields.length() }
  }

  function endKey(index: number): void {
    flush(index)
    if (!fields.endsWithKey(key.at, carry)) return
    if (carried !== null) throw new JsonSyntaxError('Duplicate key', key.offset)
    carryNext = true
  }

  function refuse(index: number, reason: 'syntax' | 'depth'): never {
    // Fields that are too long before this place come first, wherever the chunks were cut.
    if (target === 'fields') flush(index)
    if (reason === 'depth') throw new JsonLimitError('depth', `Nested deeper than ${maxDepth} levels`)
    throw new JsonSyntaxError(
      index < chunk.length ? 'Unexpected character' : 'Unexpected end',
      offset + index,
    )
  }

  const machine = createMachine({
    maxDepth,
    watchDepth: fieldDepth,
    marks: { begin, end, beginKey, endKey, refuse },
  })

  function enter(to: Emit): void {
    if (spent) throw new Error('The scanner has ended or has thrown')
    spent = true
    emit = to
  }

  return {
    push(next, to) {
      enter(to)
      chunk = next
      machine.push(next)
      flush(next.length)
      offset += next.length
      from = 0
      chunk = NOTHING
      spent = false
    },
    end(to) {
      enter(to)
      machine.end()
    },
  }
}
