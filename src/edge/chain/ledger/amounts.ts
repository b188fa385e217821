import { type SQL, sql } from 'drizzle-orm'

/** SQLite's integers have 63 bits, an amount on a chain 256: it is summed up in pieces of so many digits, some nine million rows at most. */
const pieceDigits = 12
const pieces = 7
const zeros = '0'.repeat(pieces * pieceDigits)

/** Columns that hold the sum of a column of decimal amounts, for `toSum`. As text: the client reads no integer that is above 2^53. */
export function sumColumns(column: string): SQL {
  const padded = `substr('${zeros}' || ${column}, -${zeros.length})`
  const piece = (index: number) =>
    `cast(sum(cast(substr(${padded}, ${index * pieceDigits + 1}, ${pieceDigits}) as integer)) as text) as ${column}_${index}`
  return sql.raw(Array.from({ length: pieces }, (_, index) => piece(index)).join(', '))
}

/** The exact sum, in decimal. */
export function toSum(row: Readonly<Record<string, unknown>>, column: string): string {
  let sum = 0n
  for (let index = 0; index < pieces; index++)
    sum = sum * 10n ** BigInt(pieceDigits) + BigInt(String(row[`${column}_${index}`]))
  return String(sum)
}
