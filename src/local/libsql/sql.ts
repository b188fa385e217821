import { SqlError } from './error.ts'
import { isForbiddenFunction, judgePragma } from './policy.ts'

/**
 * - read: SELECT, VALUES; write: INSERT, UPDATE, DELETE; schema: CREATE, ALTER, DROP
 * - pragma-state: a PRAGMA that changes the connection itself
 * - other: a word that we do not know; the engine will say what it thinks of it
 */
export type Kind =
  | 'read'
  | 'insert'
  | 'change'
  | 'transaction'
  | 'schema'
  | 'pragma'
  | 'pragma-state'
  | 'explain'
  | 'refused'
  | 'other'

export type Statement = {
  text: string
  kind: Kind
  /** By position; undefined where the parameter is a bare `?`. Names keep their prefix. */
  params: (string | undefined)[]
  /** Rows in the VALUES list of an INSERT, at least 1. */
  tuples: number
}

// Quoted tokens need no care for doubled quotes: 'a''b' reads as two adjacent strings, which is as good here.
const TOKEN =
  /\s+|--[^\n]*|\/\*[\s\S]*?(?:\*\/|$)|'[^']*'|"[^"]*"|`[^`]*`|\[[^\]]*\]|[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*|\?\d*|[:@#$][\w$\u0080-\uffff]+(?:::[\w$]+)*(?:\([^)\s]*\))?|\d[\w.]*|[\s\S]/gy
const BLANK = /^(?:\s|--|\/\*)/
const WORD = /^[A-Za-z_\u0080-\uffff]/
const PARAM = /^(?:\?|[:@#$]\w)/
const HEAD_TOKENS = 6

/** The statements of a text: where each ends, what it does and which parameters it takes, without parsing it whole. */
export function parseSql(sql: string): Statement[] {
  const statements: Statement[] = []
  let draft = newDraft(0)
  for (const match of sql.matchAll(TOKEN)) {
    const token = match[0]
    if (BLANK.test(token)) continue
    if (token === ';' && !insideTrigger(draft)) {
      if (draft.head.length > 0) statements.push(finish(draft, sql, match.index))
      draft = newDraft(match.index + 1)
    } else {
      take(draft, token)
    }
  }
  if (draft.head.length > 0) statements.push(finish(draft, sql, sql.length))
  return statements
}

/** The one statement of a text that must hold exactly one. */
export function parseOne(sql: string): Statement {
  const [statement, ...more] = parseSql(sql)
  if (statement === undefined)
    throw new SqlError('SQL_NO_STATEMENT', 'SQL string does not contain any statement')
  if (more.length > 0)
    throw new SqlError('SQL_MANY_STATEMENTS', 'SQL string contains more than one statement')
  return statement
}

type Draft = {
  start: number
  head: string[]
  verb: string | undefined
  previous: [string, string]
  depth: number
  inValues: boolean
  tuples: number
  forbidden: boolean
  params: (string | undefined)[]
}

function newDraft(start: number): Draft {
  return {
    start,
    head: [],
    verb: undefined,
    previous: ['', ''],
    depth: 0,
    inValues: false,
    tuples: 0,
    forbidden: false,
    params: [],
  }
}

function take(draft: Draft, token: string): void {
  if (PARAM.test(token)) addParam(draft.params, token)
  const word = WORD.test(token) ? token.toUpperCase() : token
  if (draft.head.length < HEAD_TOKENS) draft.head.push(word)
  if (draft.depth === 0) takeTopLevel(draft, word)
  if (token === '(') draft.depth++
  else if (token === ')') draft.depth--
  if (isForbiddenFunction(token)) draft.forbidden = true
  draft.previous = [draft.previous[1], word]
}

const VERBS = new Set(['SELECT', 'VALUES', 'INSERT', 'REPLACE', 'UPDATE', 'DELETE'])

function takeTopLevel(draft: Draft, word: string): void {
  if (draft.verb === undefined && VERBS.has(word)) draft.verb = word
  if (word === 'VALUES') draft.inValues = true
  else if (word === '(' && draft.inValues) draft.tuples++
  else if (word !== ',') draft.inValues = false
}

// The numbering of sqlite3: `?` takes the next number, `?5` is five, a name takes the next number once.
function addParam(params: (string | undefined)[], token: string): void {
  if (token === '?') {
    params.push(undefined)
  } else if (token.startsWith('?')) {
    const index = Number(token.slice(1))
    // Beyond the engine's own limit the engine will refuse the text; do not make an array of that length.
    if (index < 1 || index > 32_766) return
    while (params.length < index) params.push(undefined)
    params[index - 1] = token
  } else if (!params.includes(token)) {
    params.push(token)
  }
}

// A trigger's body has semicolons of its own; it is over at `; END ;` (the rule of sqlite3_complete).
function insideTrigger(draft: Draft): boolean {
  if (draft.head[0] !== 'CREATE') return false
  const noun = draft.head[1] === 'TEMP' || draft.head[1] === 'TEMPORARY' ? draft.head[2] : draft.head[1]
  if (noun !== 'TRIGGER') return false
  return draft.previous[0] !== ';' || draft.previous[1] !== 'END'
}

function finish(draft: Draft, sql: string, end: number): Statement {
  return {
    text: sql.slice(draft.start, end),
    kind: draft.forbidden ? 'refused' : kindOf(draft),
    params: draft.params,
    tuples: Math.max(1, draft.tuples),
  }
}

const KINDS: Record<string, Kind> = {
  SELECT: 'read',
  VALUES: 'read',
  INSERT: 'insert',
  REPLACE: 'insert',
  UPDATE: 'change',
  DELETE: 'change',
  BEGIN: 'transaction',
  COMMIT: 'transaction',
  END: 'transaction',
  ROLLBACK: 'transaction',
  SAVEPOINT: 'transaction',
  RELEASE: 'transaction',
  ALTER: 'schema',
  DROP: 'schema',
  EXPLAIN: 'explain',
  // sqld knows these and refuses them: they touch other files or the connection.
  ATTACH: 'refused',
  DETACH: 'refused',
  VACUUM: 'refused',
  ANALYZE: 'refused',
  REINDEX: 'refused',
}

function kindOf({ head, verb }: Draft): Kind {
  const [first = '', second = ''] = head
  if (first === 'WITH') return KINDS[verb ?? ''] ?? 'other'
  if (first === 'CREATE') return second === 'TEMP' || second === 'TEMPORARY' ? 'refused' : 'schema'
  if (first === 'PRAGMA') return judgePragma(head)
  return KINDS[first] ?? 'other'
}
