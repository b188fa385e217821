/** Text that one statement carries. As JSON within JSON it is up to four times as long on the wire: a row is 5 MB at most. */
const chunkBytes = 1024 * 1024

/** Splits a list into runs small enough for one statement each; an item that is larger by itself goes alone. */
export function* chunks<Item>(items: readonly Item[], bytesOf: (item: Item) => number): Generator<Item[]> {
  let chunk: Item[] = []
  let bytes = 0
  for (const item of items) {
    const size = bytesOf(item)
    if (chunk.length > 0 && bytes + size > chunkBytes) {
      yield chunk
      chunk = []
      bytes = 0
    }
    chunk.push(item)
    bytes += size
  }
  if (chunk.length > 0) yield chunk
}
