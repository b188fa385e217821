import type { Moved } from '../../wallet/moved.ts'
import { writeOutput } from '../files.ts'

/** Lines for people, the first of them the heading, or an object for programs, with its numbers as decimal text. */
export async function print(
  isJson: boolean,
  { lines, object }: { lines: readonly string[]; object: Record<string, unknown> },
): Promise<void> {
  await writeOutput('-', isJson ? JSON.stringify(object, toText, 2) : lines.join('\n\t'))
}

function toText(_: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value
}

/** Beside the output, which programs may read. */
export function warn(message: string): void {
  console.error(`Warning: ${message}`)
}

/** Nothing is said where all has arrived. */
export function arrivedLine({ amount, arrived }: Pick<Moved, 'amount' | 'arrived'>): string[] {
  if (arrived === amount) return []
  return [
    arrived === null
      ? 'arrived: the token does not tell'
      : `arrived: ${arrived} of ${amount} base units: the token gives less than it is sent`,
  ]
}
