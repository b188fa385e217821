import { createHash } from 'node:crypto'
import { realpath } from 'node:fs/promises'
import { createServer } from 'node:net'

/** Two processes on one spool would report and delete each other's results. */
export class LockedError extends Error {
  override readonly name = 'LockedError'
}

/**
 * Claims a directory for this process until it ends, however it ends: a name in Linux's abstract socket space leaves no file
 * behind, so there is no stale lock to judge after a crash. Elsewhere there is no lock.
 * @returns the release.
 * @throws LockedError when another process has it.
 */
export async function lockDirectory(directory: string): Promise<() => void> {
  if (process.platform !== 'linux') return () => {}
  const name = createHash('sha256')
    .update(await realpath(directory))
    .digest('hex')
    .slice(0, 32)
  const server = createServer(socket => socket.destroy())
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(`\0infernet-runner-${name}`, resolve)
  }).catch((cause: unknown) => {
    throw new LockedError(`Another runner uses the spool ${directory}`, { cause })
  })
  server.unref()
  return () => server.close()
}
