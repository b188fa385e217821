import type { Hex } from 'viem'

/** What a call returned, decoded; null: it returned nothing, or nothing that its function returns. */
export function decoded<Result>(data: Hex | null, decode: (data: Hex) => Result): Result | null {
  if (data === null) return null
  try {
    return decode(data)
  } catch {
    // A contract may answer with anything.
    return null
  }
}
