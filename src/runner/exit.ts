/** Exit codes, those of sysexits.h where it has one. */
export const exitCode = { ok: 0, failure: 1, usage: 64, busy: 75, config: 78 } as const
