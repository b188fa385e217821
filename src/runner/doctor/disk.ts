import { access, constants, statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Config } from '../config/config.ts'
import { checkRoom } from '../fitness/disk.ts'
import { type Check, type Finding, ill, well } from './check.ts'

/** That results can wait here, as many as the configuration says. */
export function spoolCheck(config: Pick<Config, 'spool' | 'minFreeDisk'>): Check {
  const { directory, maxBytes } = config.spool
  return {
    name: 'spool',
    async run() {
      const there = await nearest(directory)
      const isWritable = await access(there, constants.W_OK).then(
        () => true,
        () => false,
      )
      if (!isWritable)
        return ill(`${there} cannot be written to by this user`, 'change its owner, or set `spool` elsewhere')
      const { bavail, bsize } = await statfs(there)
      const free = bavail * bsize
      const unfit = tooLittle({ what: 'the spool', path: directory, free }, config)
      if (unfit !== null) return unfit
      return free >= maxBytes
        ? well(`${gib(free)} free for ${directory}`)
        : ill(
            `Only ${gib(free)} free for ${directory}, which may grow to ${gib(maxBytes)}`,
            'free some, or lower `spool_max_bytes`',
          )
    },
  }
}

/** What makes a host unfit while the runner runs; null: it would not. */
export function tooLittle(
  { what, path, free }: { what: string; path: string; free: number },
  { minFreeDisk }: Pick<Config, 'minFreeDisk'>,
): Finding | null {
  const [found] = checkRoom({ what, path, users: null }, { freeBytes: free, leastBytes: minFreeDisk })
  return found === undefined ? null : ill(found.detail, 'free some, or lower `min_free_disk`')
}

/** The directory, or the first above it that exists. */
async function nearest(directory: string): Promise<string> {
  const isThere = await access(directory).then(
    () => true,
    () => false,
  )
  return isThere || dirname(directory) === directory ? directory : await nearest(dirname(directory))
}

export function gib(bytes: number): string {
  return `${(bytes / 2 ** 30).toFixed(1)} GiB`
}
