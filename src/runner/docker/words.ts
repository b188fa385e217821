/** Of a command line; the last one is a quote that is not closed, or a backslash with nothing after it. */
const piece = /\s+|'([^']*)'|"((?:[^"\\]|\\.)*)"|\\(.)|([^\s'"\\]+)|(['"\\])/gs

/** Splits a command line as a POSIX shell does, without expanding anything: quotes, double quotes, backslashes. */
export function splitWords(command: string): string[] {
  const words: string[] = []
  let word: string | null = null
  for (const [whole, single, double, escaped, plain, stray] of command.matchAll(piece)) {
    const value = single ?? double?.replace(/\\([$`"\\])/g, '$1') ?? escaped ?? plain ?? stray
    if (value !== undefined) word = (word ?? '') + value
    else if (whole && word !== null) {
      words.push(word)
      word = null
    }
  }
  return word === null ? words : [...words, word]
}

/** Whether all its quotes are closed: a shell would ask for the rest. */
export function isClosed(command: string): boolean {
  return [...command.matchAll(piece)].every(({ 5: stray }) => stray === undefined)
}
