import { describe, expect, test } from 'vitest'
import { parseSql } from '../../src/local/libsql/sql.ts'

const kinds = (sql: string) => parseSql(sql).map(statement => statement.kind)
const params = (sql: string) => parseSql(sql)[0]?.params

describe('parseSql: where a statement ends', () => {
  test.each([
    ['', 0],
    [' ; -- only a comment\n ; /* and ; another */', 0],
    ['SELECT \';\' AS ";", [;], `;`', 1],
    ["SELECT 'it''s; one'; SELECT 2", 2],
    ['SELECT 1; -- and ; this', 1],
    ['SELECT 1 /* never closed ; SELECT 2', 1],
    ['CREATE TRIGGER a AFTER INSERT ON t BEGIN SELECT CASE WHEN 1 THEN 2 END; SELECT 3; END; SELECT 4', 2],
    ['CREATE TEMP TRIGGER a AFTER INSERT ON t BEGIN SELECT 1; END', 1],
    ['BEGIN; INSERT INTO t VALUES (1); END; SELECT 1', 4],
  ])('%s', (sql, count) => {
    expect(parseSql(sql)).toHaveLength(count)
  })
})

describe('parseSql: what it is', () => {
  test.each([
    ['select 1', 'read'],
    ['VALUES (1)', 'read'],
    ['WITH a AS (DELETE) SELECT 1', 'read'],
    ['WITH a AS (SELECT 1) INSERT INTO t SELECT * FROM a', 'insert'],
    ['REPLACE INTO t VALUES (1)', 'insert'],
    ['with a as (select 1) update t set x = 1', 'change'],
    ['/* hi */ DELETE FROM t', 'change'],
    ['END', 'transaction'],
    ['SAVEPOINT a', 'transaction'],
    ['ROLLBACK TO a', 'transaction'],
    ['ALTER TABLE t ADD x', 'schema'],
    ['EXPLAIN QUERY PLAN SELECT 1', 'explain'],
    ['PRAGMA foreign_keys', 'pragma'],
    ['PRAGMA foreign_keys = on', 'pragma-state'],
    ['PRAGMA main.user_version = 5', 'pragma'],
    ['PRAGMA unheard_of', 'refused'],
    ['REINDEX', 'refused'],
    ['NONSENSE', 'other'],
  ])('%s', (sql, kind) => {
    expect(kinds(sql)).toEqual([kind])
  })
})

describe('parseSql: parameters', () => {
  test.each([
    ["SELECT '?', \":a\", x->>'$.b' -- ?\n", []],
    ['SELECT ?, ?', [undefined, undefined]],
    ['SELECT :a, @b, $c, :a', [':a', '@b', '$c']],
    ['SELECT ?3, ?', [undefined, undefined, '?3', undefined]],
    ['SELECT ?, :a, ?1', ['?1', ':a']],
  ])('%s', (sql, expected) => {
    expect(params(sql)).toEqual(expected)
  })
})

test.each([
  ['INSERT INTO t VALUES (1, (2)), (3, 4), (f(5), 6) RETURNING (a), (b)', 3],
  ['INSERT INTO t (a, b) SELECT 1, 2', 1],
  ['SELECT * FROM (VALUES (1), (2))', 1],
])('parseSql: rows of %s', (sql, tuples) => {
  expect(parseSql(sql)[0]?.tuples).toBe(tuples)
})
