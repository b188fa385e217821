/** The text is not JSON in UTF-8, or is ambiguous. The message tells the place and nothing of the text. */
export class JsonSyntaxError extends Error {
  override readonly name = 'JsonSyntaxError'
  /** In bytes from the start of the text. */
  readonly offset: number

  constructor(what: string, offset: number) {
    super(`${what} at byte ${offset}`)
    this.offset = offset
  }
}

export type JsonLimit = 'depth' | 'fields' | 'items'

/** The text may be JSON, but more of it than we take. */
export class JsonLimitError extends Error {
  override readonly name = 'JsonLimitError'
  readonly limit: JsonLimit

  constructor(limit: JsonLimit, message: string) {
    super(message)
    this.limit = limit
  }
}

/** A batch whose root is not a list. */
export class JsonShapeError extends Error {
  override readonly name = 'JsonShapeError'

  constructor() {
    super('Expected a list')
  }
}
