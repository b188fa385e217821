/** What a check has found. `fix` says what to do where it is not well. */
export type Finding = { ok: true; detail: string } | { ok: false; detail: string; fix: string }

/** One line of `doctor`. What it throws is a finding too. */
export type Check = { name: string; run(): Promise<Finding> }

export function well(detail: string): Finding {
  return { ok: true, detail }
}

export function ill(detail: string, fix: string): Finding {
  return { ok: false, detail, fix }
}
