import { open } from 'node:fs/promises'

/** Makes the names in a directory durable: syncing a new file alone keeps its bytes, and may lose its name in a power cut. */
export async function syncDirectory(path: string): Promise<void> {
  // Windows opens no directories, and keeps names in its journal.
  if (process.platform === 'win32') return
  const directory = await open(path, 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}
