import { type Rope, readRope } from '../rope.ts'

/** A run of characters inside or outside of a text, one of escapes, or the quote around a text. */
const token = /[^"\\]+|(?:\\u[\da-fA-F]{4}|\\[^u])+|"/gy
/** The first half of a character whose second one is still to come. */
const half = /[\ud800-\udbff]$/

/** What is inside of the texts of a JSON text, unescaped, and what is around them, as it comes. `json` is known to be sound. */
async function* split(json: Rope): AsyncGenerator<{ inside: string; outside: string }> {
  const decoder = new TextDecoder()
  let isInside = false
  let cut = ''
  for await (const chunk of readRope(json, new AbortController().signal)) {
    const text = cut + decoder.decode(chunk, { stream: true })
    let [inside, outside, at] = ['', '', 0]
    for (const [piece] of text.matchAll(token)) {
      at += piece.length
      if (piece === '"') isInside = !isInside
      else if (!isInside) outside += piece
      else inside += piece.startsWith('\\') ? JSON.parse(`"${piece}"`) : piece
    }
    cut = text.slice(at)
    yield { inside, outside }
  }
}

/** Whether a JSON text is a text, or a list of texts. */
export async function isText(json: Rope): Promise<boolean> {
  let lists = 0
  for await (const { outside } of split(json)) {
    lists += outside.split('[').length - 1
    if (lists > 1 || /[^\s,[\]]/.test(outside)) return false
  }
  return true
}

/** The text that a JSON text is, or the texts of a list one after another. Never much of it is in memory. */
export async function* textIn(json: Rope): AsyncGenerator<Uint8Array> {
  let begun = ''
  for await (const { inside } of split(json)) {
    const text = begun + inside
    begun = half.exec(text)?.[0] ?? ''
    yield Buffer.from(text.slice(0, text.length - begun.length))
  }
  yield Buffer.from(begun)
}
