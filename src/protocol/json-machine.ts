import {
  AFTER_ELEMENT,
  AFTER_MEMBER,
  ARRAY_TABLE,
  CLOSE,
  COLON,
  DONE,
  endsNumber,
  FIRST_ELEMENT,
  FIRST_KEY,
  LITERAL_END,
  NUMBER_END,
  OBJECT_TABLE,
  OPEN_ARRAY,
  OPEN_KEY,
  OPEN_OBJECT,
  PLAIN,
  SCALAR,
  SCALAR_STATE,
  STRING,
  STRING_END,
  TABLE,
  VALUE,
} from './json-table.ts'

/**
 * What the machine tells of the outer levels of a text. `index` counts from the start of the chunk being pushed and
 * may be 0 or its length; `depth` is the number of arrays and objects around the value.
 */
export type Marks = {
  begin(depth: number, index: number): void
  end(depth: number, index: number): void
  /** `index` is that of the opening quote of a key of an object at `watchDepth - 1`. */
  beginKey(index: number): void
  /** `index` is just past the closing quote. */
  endKey(index: number): void
  /** Throws. */
  refuse(index: number, reason: 'syntax' | 'depth'): never
}

export type Machine = {
  push(chunk: Uint8Array): void
  end(): void
}

/**
 * Checks a JSON text that arrives in chunks and marks the values that lie in at most `watchDepth` arrays and objects.
 * It holds one small number per level of nesting and nothing of the text. Having thrown, it is of no more use.
 */
export function createMachine(options: { maxDepth: number; watchDepth: number; marks: Marks }): Machine {
  const { maxDepth, watchDepth, marks } = options
  /** The state that follows a value, by the value's depth. */
  const after: number[] = [DONE]
  let depth = 0
  let inKey = false
  let resting = VALUE
  let table = TABLE

  function begin(index: number): void {
    if (depth <= watchDepth) marks.begin(depth, index)
  }

  function finish(index: number): number {
    if (depth <= watchDepth) marks.end(depth, index)
    return after[depth] as number
  }

  function open(index: number, follows: number): void {
    begin(index)
    if (depth === maxDepth) marks.refuse(index, 'depth')
    after[++depth] = follows
    chooseTable()
  }

  function close(index: number): number {
    depth--
    chooseTable()
    return finish(index)
  }

  function chooseTable(): void {
    if (depth <= watchDepth) table = TABLE
    else table = after[depth] === AFTER_ELEMENT ? ARRAY_TABLE : OBJECT_TABLE
  }

  function openKey(index: number): number {
    inKey = true
    if (depth === watchDepth) marks.beginKey(index)
    return STRING
  }

  function closeKey(index: number): number {
    inKey = false
    if (depth === watchDepth) marks.endKey(index)
    return COLON
  }

  function act(action: number, byte: number, index: number): number {
    switch (action) {
      case SCALAR:
        begin(index)
        return SCALAR_STATE[byte] as number
      case NUMBER_END:
        return finish(index)
      case LITERAL_END:
        return finish(index + 1)
      case STRING_END:
        return inKey ? closeKey(index + 1) : finish(index + 1)
      case OPEN_KEY:
        return openKey(index)
      case OPEN_OBJECT:
        open(index, AFTER_MEMBER)
        return FIRST_KEY
      case OPEN_ARRAY:
        open(index, AFTER_ELEMENT)
        return FIRST_ELEMENT
      case CLOSE:
        return close(index + 1)
      default:
        return marks.refuse(index, 'syntax')
    }
  }

  function push(chunk: Uint8Array): void {
    // Locals, since an imported binding is fetched anew at each use: without them long strings went through at 370 MB/s
    // and decimals at 95, with them at 720 and 150.
    const plain = PLAIN
    const string = STRING
    const numberEnd = NUMBER_END
    const length = chunk.length
    let current = table
    let state = resting
    let index = 0
    while (index < length) {
      const byte = chunk[index] as number
      const next = current[(state << 8) | byte] as number
      if (next > string) {
        state = act(next, byte, index)
        current = table
        if (next !== numberEnd) index++
        continue
      }
      state = next
      index++
      if (next === string) while (index < length && plain[chunk[index] as number] === 1) index++
    }
    resting = state
  }

  function end(): void {
    const state = endsNumber(resting) ? finish(0) : resting
    if (state !== DONE) marks.refuse(0, 'syntax')
  }

  return { push, end }
}
