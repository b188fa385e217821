/** A string, a bracket or separator, or a run of anything else that is not white space. */
const token = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g

/**
 * JSON text, laid out with an indent of two. The text is not parsed into values: numbers, repeated keys and the order of keys
 * stay as they were written.
 */
export function indent(json: string): string {
  let out = ''
  let depth = 0
  let last = ''
  const newline = () => `\n${'  '.repeat(depth)}`
  for (const [part] of json.matchAll(token)) {
    const closes = part === '}' || part === ']'
    const opened = last === '{' || last === '['
    if (closes) depth -= 1
    if (closes ? !opened : opened) out += newline()
    out += part
    if (part === '{' || part === '[') depth += 1
    else if (part === ',') out += newline()
    else if (part === ':') out += ' '
    last = part
  }
  return out
}

/** A result for people, as the reference's client prints it: strings raw, everything else as indented JSON. */
export function toLine(json: string): string {
  const text = json.trim()
  return text.startsWith('"') ? (JSON.parse(text) as string) : indent(text)
}
