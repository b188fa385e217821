/** The last lines of the runner's log, for those who come later. */
export type Lines = {
  push(line: string): void
  last(count: number): string[]
  /** Calls back with each line from here on. @returns the end of that. */
  follow(heard: (line: string) => void): () => void
}

export const keptLines = 2_000

export function createLines(): Lines {
  const kept: string[] = []
  const followers = new Set<(line: string) => void>()

  return {
    push(line) {
      kept.push(line)
      // Cut seldom, since it moves what stays.
      if (kept.length > 2 * keptLines) kept.splice(0, kept.length - keptLines)
      for (const heard of followers) heard(line)
    },
    last: count => kept.slice(Math.max(0, kept.length - Math.min(count, keptLines))),
    follow(heard) {
      followers.add(heard)
      return () => followers.delete(heard)
    },
  }
}
