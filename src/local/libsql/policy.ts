// Which PRAGMAs and functions a client may use. The PRAGMA lists are sqld's (libsql-server, query_analysis.rs), so
// that what works here works there.

const FREE = new Set([
  'table_list',
  'index_list',
  'index_info',
  'table_info',
  'table_xinfo',
  'index_xinfo',
  'pragma_list',
  'compile_options',
  'database_list',
  'function_list',
  'module_list',
  'encoding',
  'foreign_key_list',
  'foreign_key_check',
  'collation_list',
  'data_version',
  'freelist_count',
  'integrity_check',
  'legacy_file_format',
  'page_count',
  'quick_check',
  'stats',
  'user_version',
])

/** These change the connection, not the database. */
const STATE = new Set(['foreign_keys', 'defer_foreign_keys'])

/** Takes a connection back to where each stream starts. */
export const RESTORE_STATE = 'PRAGMA foreign_keys=ON; PRAGMA defer_foreign_keys=OFF'

const READ_ONLY = new Set([
  'analysis_limit',
  'application_id',
  'auto_vacuum',
  'automatic_index',
  'busy_timeout',
  'cache_size',
  'cache_spill',
  'cell_size_check',
  'checkpoint_fullfsync',
  'fullfsync',
  'hard_heap_limit',
  'journal_mode',
  'journal_size_limit',
  'legacy_alter_table',
  'locking_mode',
  'max_page_count',
  'mmap_size',
  'page_size',
  'query_only',
  'read_uncommitted',
  'recursive_triggers',
  'reverse_unordered_selects',
  'schema_version',
  'secure_delete',
  'soft_heap_limit',
  'synchronous',
  'temp_store',
  'threads',
  'trusted_schema',
  'wal_autocheckpoint',
])

/** `head`: the statement's first tokens, PRAGMA included, words in upper case. */
export function judgePragma(head: string[]): 'pragma' | 'pragma-state' | 'refused' {
  const [, first = '', dot, second = ''] = head
  const [name, next] = dot === '.' ? [second, head[4]] : [first, dot]
  const pragma = name.toLowerCase()
  const hasArgument = next === '=' || next === '('
  if (FREE.has(pragma)) return 'pragma'
  if (STATE.has(pragma)) return hasArgument ? 'pragma-state' : 'pragma'
  return READ_ONLY.has(pragma) && !hasArgument ? 'pragma' : 'refused'
}

const FORBIDDEN = new Set(['readfile', 'writefile', 'load_extension'])

/** The binding's build carries functions that reach files of this machine. */
export function isForbiddenFunction(token: string): boolean {
  if (token.length < 8 || token.length > 16 || token.startsWith("'")) return false
  return FORBIDDEN.has(token.replace(/^["`[]|["`\]]$/g, '').toLowerCase())
}
