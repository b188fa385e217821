import { rename } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type { Log } from '../log.ts'
import { messageOf } from '../trouble.ts'
import type { Layout } from './layout.ts'

export async function setAside(path: string, { layout, log }: { layout: Layout; log: Log }): Promise<void> {
  const aside = join(layout.corrupt, basename(path))
  try {
    await rename(path, aside)
    log.warn('A spool file is damaged and was set aside', { file: aside })
  } catch (error) {
    log.warn('A damaged spool file could not be set aside', { file: path, error: messageOf(error) })
  }
}
