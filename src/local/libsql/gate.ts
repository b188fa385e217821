/** Where work waits while another connection holds the write lock. */
export type Gate = {
  /** Resolves when the lock may be free, at the latest after so many milliseconds. */
  wait(ms: number): Promise<void>
  /** Lets everybody try again, in the order of arrival. */
  open(): void
}

export function createGate(): Gate {
  const waiting = new Set<() => void>()
  return {
    wait(ms) {
      return new Promise(resolve => {
        const go = () => {
          clearTimeout(timer)
          waiting.delete(go)
          resolve()
        }
        const timer = setTimeout(go, ms)
        waiting.add(go)
      })
    },
    open() {
      for (const go of [...waiting]) go()
    },
  }
}
