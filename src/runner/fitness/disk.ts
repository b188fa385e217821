import type { Found } from './found.ts'

/** A directory that fills, and who cannot work when its disk is full; null: nobody. */
export type Room = { what: string; path: string; users: readonly string[] | null }

/** `freeBytes`: null when nobody can say, as of a directory on another machine. */
export type SeenRoom = Room & { freeBytes: number | null }

/** `freeBytes` null: nobody can say, as of a directory on another machine. */
export function checkRoom(
  { what, path, users }: Room,
  { freeBytes, leastBytes }: { freeBytes: number | null; leastBytes: number },
): Found[] {
  if (freeBytes === null || freeBytes >= leastBytes || users?.length === 0) return []
  const least = `${Math.round(leastBytes / 1024 ** 2)} MiB`
  return [
    { code: 'disk_low', detail: `Less than ${least} are free for ${what}, at ${path}`, containers: users },
  ]
}
