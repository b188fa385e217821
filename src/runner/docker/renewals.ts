import type { Cause } from '../cause.ts'
import { createNotice } from '../notice.ts'

/** Containers that something has broken while they ran: each is to be stopped, so that whoever keeps it starts it anew. */
export type Renewals = {
  ask(id: string, cause: Cause): void
  /** What has broken it; undefined: nobody has asked. */
  causeOf(id: string): Cause | undefined
  /** Resolves with what has broken it once somebody asks, or has asked, and with null when the signal aborts. */
  asked(id: string, signal: AbortSignal): Promise<Cause | null>
  /** What has broken it is over: it has been stopped. */
  done(id: string): void
}

export function createRenewals(): Renewals {
  const causes = new Map<string, Cause>()
  const isNews = createNotice()

  return {
    ask(id, cause) {
      causes.set(id, cause)
      isNews.post()
    },
    causeOf: id => causes.get(id),
    async asked(id, signal) {
      while (!signal.aborted) {
        const cause = causes.get(id)
        if (cause !== undefined) return cause
        await isNews.wait(signal)
      }
      return null
    },
    done: id => void causes.delete(id),
  }
}
