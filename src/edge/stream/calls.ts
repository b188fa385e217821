/** A relay's calls to readers that it may have lost, which are not all waiting for a frame, and so may not have noticed. */
export type Calls = {
  /** Once: who is there when they are over is who there is. */
  begin(): void
  /** Somebody may still come. */
  areOut(): boolean
  /** So may whoever hears the first one. */
  areNew(): boolean
  stop(): void
}

export type CallsOptions = {
  call(): Promise<void>
  firstMs: number
  /** Each after twice as long as the one before, since it may be lost, or heard by nobody for a while. */
  most: number
  /** One has been made, or they are over. */
  onStep(): void
}

export function createCalls({ call, firstMs, most, onStep }: CallsOptions): Calls {
  let made = 0
  let hasBegun = false
  let timer: ReturnType<typeof setTimeout> | null = null

  function callIn(ms: number): void {
    timer = setTimeout(() => {
      timer = null
      if (made < most) {
        made += 1
        call().catch(() => undefined)
        callIn(2 * ms)
      }
      onStep()
    }, ms)
  }

  return {
    begin() {
      if (hasBegun) return
      hasBegun = true
      callIn(firstMs)
    },
    areOut: () => timer !== null,
    areNew: () => timer !== null && made < 2,
    stop() {
      if (timer !== null) clearTimeout(timer)
      timer = null
    },
  }
}
