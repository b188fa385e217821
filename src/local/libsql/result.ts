import type { Statement } from './sql.ts'
import type { EngineValue, encodeValue } from './value.ts'

export type Column = { name: string; decltype: string | null }

export type StmtResult = {
  cols: Column[]
  rows: ReturnType<typeof encodeValue>[][]
  affected_row_count: number
  last_insert_rowid: string | null
  replication_index: null
  rows_read: number
  rows_written: number
  query_duration_ms: number
}

export type DescribeResult = {
  params: { name: string | null }[]
  cols: Column[]
  is_explain: boolean
  is_readonly: boolean
}

/** The result of a statement without rows. */
export function changed({ kind }: Statement, changes: number, rowid: EngineValue): StmtResult {
  return {
    cols: [],
    rows: [],
    affected_row_count: changes,
    last_insert_rowid: kind === 'insert' ? String(rowid) : null,
    replication_index: null,
    rows_read: 0,
    rows_written: 0,
    query_duration_ms: 0,
  }
}
