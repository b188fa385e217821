/** Exit codes, those of sysexits.h where it has one. */
export const exitCode = { ok: 0, failure: 1, usage: 64, busy: 75, config: 78 } as const

/** Why the edge cannot start, in words for whoever started it. */
export class StartError extends Error {
  override name = 'StartError'
  readonly exitCode: number
  constructor(code: keyof typeof exitCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.exitCode = exitCode[code]
  }
}
