import { messageOf } from '../trouble.ts'
import type { Check, Finding } from './check.ts'

export type Examined = Finding & { name: string }

/** Runs checks side by side, and gives their findings in order. */
export async function examine(checks: readonly Check[]): Promise<Examined[]> {
  return await Promise.all(
    checks.map(async ({ name, run }) => ({
      name,
      ...(await run().catch((error: unknown) => failed(error))),
    })),
  )
}

function failed(error: unknown): Finding {
  return { ok: false, detail: messageOf(error), fix: 'see the message' }
}

/** `ok    name  detail`, or `FAIL  name  detail. Fix: ...`; whatever a text holds, it stays one line. */
export function lineOf(found: Examined): string {
  const told = found.ok ? found.detail : `${found.detail.replace(/\.$/, '')}. Fix: ${found.fix}.`
  return `${found.ok ? 'ok  ' : 'FAIL'}  ${found.name.padEnd(11)}  ${told.replaceAll(/\s*\n\s*/g, ' ')}`
}
