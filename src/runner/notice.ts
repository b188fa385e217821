export type Notice = {
  /** Wakes everyone who waits. */
  post(): void
  /**
   * Resolves at the next `post`, when the signal aborts, or after `ms`; the caller looks at its own condition before and after.
   */
  wait(signal: AbortSignal, ms?: number): Promise<void>
}

/** A condition variable for one event loop. */
export function createNotice(): Notice {
  const waiting = new Set<() => void>()

  return {
    post() {
      for (const wake of [...waiting]) wake()
    },
    wait(signal, ms) {
      return new Promise(resolve => {
        if (signal.aborted) return resolve()
        const wake = () => {
          waiting.delete(wake)
          clearTimeout(timer)
          signal.removeEventListener('abort', wake)
          resolve()
        }
        const timer = ms === undefined ? undefined : setTimeout(wake, ms)
        waiting.add(wake)
        signal.addEventListener('abort', wake, { once: true })
      })
    },
  }
}
