export type Lru<T> = {
  get(key: string): T | undefined
  set(key: string, value: T): void
  clear(): void
}

/** A bounded map that drops what was used longest ago. A Map keeps insertion order, which is all it takes. */
export function createLru<T>(capacity: number): Lru<T> {
  const entries = new Map<string, T>()
  return {
    get(key) {
      const value = entries.get(key)
      if (value !== undefined) {
        entries.delete(key)
        entries.set(key, value)
      }
      return value
    },
    set(key, value) {
      entries.delete(key)
      entries.set(key, value)
      const [oldest] = entries.keys()
      if (entries.size > capacity && oldest !== undefined) entries.delete(oldest)
    },
    clear() {
      entries.clear()
    },
  }
}
