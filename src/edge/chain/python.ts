import type { Json } from '../../protocol/json.ts'

/** What Python's `str()` gives for JSON that its own `json` module has read: what consumers of the reference node get as a string. */
export function pythonText(value: Json): string {
  return typeof value === 'string' ? value : literal(value)
}

function literal(value: Json): string {
  if (value === null) return 'None'
  if (typeof value === 'boolean') return value ? 'True' : 'False'
  if (typeof value === 'bigint') return value.toString()
  if (typeof value === 'string') return quoted(value)
  if (Array.isArray(value)) return `[${value.map(literal).join(', ')}]`
  if (value instanceof Map)
    return `{${[...value].map(([key, item]) => `${quoted(key)}: ${literal(item)}`).join(', ')}}`
  return float(Number(value.float))
}

/** The shortest digits that give the same number, as in JavaScript; with an exponent below 1e-4 and from 1e16 on. */
function float(value: number): string {
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf'
  const sign = value < 0 || Object.is(value, -0) ? '-' : ''
  const [mantissa = '', power = ''] = Math.abs(value).toExponential().split('e')
  const digits = mantissa.replace('.', '')
  const exponent = Number(power)
  if (exponent < -4 || exponent >= 16) {
    const point = digits.length > 1 ? `${digits[0]}.${digits.slice(1)}` : digits
    return `${sign}${point}e${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`
  }
  if (exponent < 0) return `${sign}0.${'0'.repeat(-exponent - 1)}${digits}`
  const whole = digits.slice(0, exponent + 1).padEnd(exponent + 1, '0')
  return `${sign}${whole}.${digits.slice(exponent + 1) || '0'}`
}

const escapes: Readonly<Record<string, string>> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' }
/** What Python takes for unprintable: other than letters, marks, numbers, punctuation, symbols and the space. */
const unprintable = /[\p{C}\p{Z}]/u

function quoted(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'"
  let body = ''
  for (const character of text) body += character === quote ? `\\${quote}` : escaped(character)
  return quote + body + quote
}

function escaped(character: string): string {
  const known = escapes[character]
  if (known) return known
  if (character === ' ' || !unprintable.test(character)) return character
  const code = character.codePointAt(0) ?? 0
  if (code <= 0xff) return `\\x${code.toString(16).padStart(2, '0')}`
  if (code <= 0xffff) return `\\u${code.toString(16).padStart(4, '0')}`
  return `\\U${code.toString(16).padStart(8, '0')}`
}
