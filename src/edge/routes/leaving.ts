/** A client that reads leaves, or is told that it is over: once. */
export type Leaving = {
  /** Aborts then. */
  signal: AbortSignal
  leave(): void
  /** Its answer is over. A request's signal may be part of one that lives as long as the process, and keeps whoever listens. */
  forget(): void
}

/** `left`: of the request. */
export function createLeaving(left: AbortSignal): Leaving {
  const leaving = new AbortController()
  const forget = () => left.removeEventListener('abort', leave)
  const leave = () => {
    forget()
    leaving.abort()
  }
  left.addEventListener('abort', leave)
  if (left.aborted) leave()
  return { signal: leaving.signal, leave, forget }
}
