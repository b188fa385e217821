/**
 * The grammar of RFC 8259 over strict UTF-8 as a table: `TABLE[state << 8 | byte]` is the state that follows or,
 * above `STRING`, something for the machine to do. Nesting is the only thing that it leaves out.
 */

// Between tokens.
export const VALUE = 0
export const FIRST_ELEMENT = 1
export const FIRST_KEY = 2
const KEY = 3
export const COLON = 4
export const AFTER_ELEMENT = 5
export const AFTER_MEMBER = 6
/** The root value is complete: nothing but whitespace follows. */
export const DONE = 7

// Inside a string. U1 to U3 want so many more continuation bytes; the rest are the first bytes after which RFC 3629
// narrows the second (no overlong forms, no surrogates, nothing above U+10FFFF).
const ESCAPE = 8
const HEX4 = 9
const HEX3 = 10
const HEX2 = 11
const HEX1 = 12
const U1 = 13
const U2 = 14
const U3 = 15
const U_E0 = 16
const U_ED = 17
const U_F0 = 18
const U_F4 = 19

// Inside a number. ZERO, INTEGER, FRACTION and EXPONENT may be its end.
const MINUS = 20
const ZERO = 21
const INTEGER = 22
const POINT = 23
const FRACTION = 24
const E = 25
const E_SIGN = 26
const EXPONENT = 27

// LITERALS + n: inside `true`, `false` or `null`.
const LITERALS = 28

/** Inside a string, between characters. The last state: what is below needs nothing but the next byte. */
export const STRING = 38
const STATES = 39

// Actions.
export const REFUSE = 64
export const OPEN_OBJECT = 65
export const OPEN_ARRAY = 66
export const CLOSE = 67
export const SCALAR = 68
export const OPEN_KEY = 69
export const STRING_END = 70
export const LITERAL_END = 71
/** The only action that leaves its byte to be read again: a number ends where something else begins. */
export const NUMBER_END = 72

const WHITESPACE = ' \t\n\r'
const DIGITS = '0123456789'
const HEX_DIGITS = `${DIGITS}abcdefABCDEF`

export const TABLE: Uint8Array = new Uint8Array(STATES << 8).fill(REFUSE)

/** The state in which a string, number or literal continues, by its first byte; 0 for any other byte. */
export const SCALAR_STATE: Uint8Array = new Uint8Array(256)

/** 1 for the bytes that stand for themselves in a string and are a whole character. */
export const PLAIN: Uint8Array = new Uint8Array(256).fill(1, 0x20, 0x80)

function on(state: number, bytes: string, next: number): void {
  for (const byte of bytes) TABLE[(state << 8) | byte.charCodeAt(0)] = next
}

function onRange(state: number, first: number, last: number, next: number): void {
  TABLE.fill(next, (state << 8) | first, ((state << 8) | last) + 1)
}

function addStructure(): void {
  for (const state of [VALUE, FIRST_ELEMENT, FIRST_KEY, KEY, COLON, AFTER_ELEMENT, AFTER_MEMBER, DONE])
    on(state, WHITESPACE, state)
  for (const state of [VALUE, FIRST_ELEMENT]) {
    on(state, '{', OPEN_OBJECT)
    on(state, '[', OPEN_ARRAY)
    on(state, `"-tfn${DIGITS}`, SCALAR)
  }
  on(FIRST_ELEMENT, ']', CLOSE)
  on(FIRST_KEY, '}', CLOSE)
  for (const state of [FIRST_KEY, KEY]) on(state, '"', OPEN_KEY)
  on(COLON, ':', VALUE)
  on(AFTER_ELEMENT, ',', VALUE)
  on(AFTER_ELEMENT, ']', CLOSE)
  on(AFTER_MEMBER, ',', KEY)
  on(AFTER_MEMBER, '}', CLOSE)
}

function addStrings(): void {
  SCALAR_STATE[0x22] = STRING
  PLAIN[0x22] = 0
  PLAIN[0x5c] = 0
  onRange(STRING, 0x20, 0x7f, STRING)
  on(STRING, '"', STRING_END)
  on(STRING, '\\', ESCAPE)
  on(ESCAPE, '"\\/bfnrt', STRING)
  on(ESCAPE, 'u', HEX4)
  on(HEX4, HEX_DIGITS, HEX3)
  on(HEX3, HEX_DIGITS, HEX2)
  on(HEX2, HEX_DIGITS, HEX1)
  on(HEX1, HEX_DIGITS, STRING)
}

function addUtf8(): void {
  onRange(STRING, 0xc2, 0xdf, U1)
  onRange(STRING, 0xe0, 0xef, U2)
  onRange(STRING, 0xe0, 0xe0, U_E0)
  onRange(STRING, 0xed, 0xed, U_ED)
  onRange(STRING, 0xf0, 0xf0, U_F0)
  onRange(STRING, 0xf1, 0xf3, U3)
  onRange(STRING, 0xf4, 0xf4, U_F4)
  onRange(U1, 0x80, 0xbf, STRING)
  onRange(U2, 0x80, 0xbf, U1)
  onRange(U3, 0x80, 0xbf, U2)
  onRange(U_E0, 0xa0, 0xbf, U1)
  onRange(U_ED, 0x80, 0x9f, U1)
  onRange(U_F0, 0x90, 0xbf, U2)
  onRange(U_F4, 0x80, 0x8f, U2)
}

function addNumbers(): void {
  SCALAR_STATE[0x2d] = MINUS
  SCALAR_STATE[0x30] = ZERO
  SCALAR_STATE.fill(INTEGER, 0x31, 0x3a)
  on(MINUS, DIGITS, INTEGER)
  on(MINUS, '0', ZERO)
  on(INTEGER, DIGITS, INTEGER)
  on(POINT, DIGITS, FRACTION)
  on(FRACTION, DIGITS, FRACTION)
  on(E, '+-', E_SIGN)
  for (const state of [ZERO, INTEGER]) on(state, '.', POINT)
  for (const state of [ZERO, INTEGER, FRACTION]) on(state, 'eE', E)
  for (const state of [E, E_SIGN, EXPONENT]) on(state, DIGITS, EXPONENT)
  for (const state of [ZERO, INTEGER, FRACTION, EXPONENT]) on(state, `${WHITESPACE},]}`, NUMBER_END)
}

function addLiterals(): void {
  let state = LITERALS
  for (const literal of ['true', 'false', 'null']) {
    SCALAR_STATE[literal.charCodeAt(0)] = state
    for (const character of literal.slice(1, -1)) on(state, character, ++state)
    on(state++, literal.slice(-1), LITERAL_END)
  }
}

addStructure()
addStrings()
addUtf8()
addNumbers()
addLiterals()

/**
 * A table for the inside of an array or object of which nobody wants to know where its values begin and end: it goes
 * through numbers and literals, and in an array through strings, without stopping for an action. A list of short
 * integers is scanned at 200 MB/s; with `TABLE` alone it was 65.
 */
function unwatched(after: number): Uint8Array {
  const table = TABLE.slice()
  for (let entry = 0; entry < table.length; entry++) {
    const byte = entry & 0xff
    const action = table[entry]
    if (action === SCALAR) table[entry] = SCALAR_STATE[byte] as number
    else if (action === NUMBER_END) table[entry] = TABLE[(after << 8) | byte] as number
    else if (action === LITERAL_END) table[entry] = after
    else if (action === STRING_END && after === AFTER_ELEMENT) table[entry] = after
  }
  return table
}

export const ARRAY_TABLE: Uint8Array = unwatched(AFTER_ELEMENT)
export const OBJECT_TABLE: Uint8Array = unwatched(AFTER_MEMBER)

/** Whether the text may stop in this state if a space were to follow: the end of a root that is a number. */
export function endsNumber(state: number): boolean {
  return TABLE[(state << 8) | 0x20] === NUMBER_END
}
