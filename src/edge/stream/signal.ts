/** Wakes all that wait for something to change. */
export type Signal = {
  /** Resolves at the next change. */
  wait(): Promise<void>
  tell(): void
}

export function createSignal(): Signal {
  let current = Promise.withResolvers<void>()
  return {
    wait: () => current.promise,
    tell() {
      current.resolve()
      current = Promise.withResolvers<void>()
    },
  }
}
