import { createHash } from 'node:crypto'
import type { Config } from '../config/config.ts'

/**
 * Names in Docker begin with this. Two runners on one engine differ in it unless they share a spool, which is locked, or are in
 * containers and see their spools at the same path.
 */
export function scopeOf({ spool }: { spool: Pick<Config['spool'], 'directory'> }): string {
  return createHash('sha256').update(spool.directory).digest('hex').slice(0, 8)
}
