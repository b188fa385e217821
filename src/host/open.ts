import { type Db, openDb as openRemoteDb } from '../edge/db/open.ts'

export type OpenedDb = Db & { close(): void }

/** Opens any database that a `DATABASE_URL` names: over HTTP, or a file of this machine's. */
export async function openDb({ url, token }: { url: string; token?: string | undefined }): Promise<OpenedDb> {
  if (!url.startsWith('file:')) return { ...openRemoteDb({ url, token }), close() {} }
  // Loaded only when it is needed: its engine is native code, for which Deno wants a permission of its own.
  const { openFileDb } = await import('./file.ts')
  return await openFileDb({ url })
}
