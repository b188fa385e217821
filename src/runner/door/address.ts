import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as v from 'valibot'

/** Where a running process listens. Beside its results, so that who has the configuration finds it. */
export const Address = v.object({ url: v.string(), instance: v.string() })
export type Address = v.InferOutput<typeof Address>

export function addressFile(spool: string): string {
  return join(spool, 'address')
}

/** Null: no runner has written one down, or none that this user may read. */
export async function readAddress(spool: string): Promise<Address | null> {
  const text = await readFile(addressFile(spool), 'utf8').catch(() => '')
  const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), Address), text)
  return parsed.success ? parsed.output : null
}
