import { fileURLToPath } from 'node:url'
import { drizzle } from 'drizzle-orm/libsql'
import { migrate as applyMigrations } from 'drizzle-orm/libsql/migrator'

const migrationsFolder = fileURLToPath(new URL('../../../drizzle', import.meta.url))

/** Brings a database to the newest schema; harmless when it is there already. `url`: `file:`, `http:`, `https:` or `libsql:`. */
export async function migrate({ url, token }: { url: string; token?: string | undefined }): Promise<void> {
  const orm = drizzle({ connection: { url, ...(token ? { authToken: token } : {}) } })
  try {
    await applyMigrations(orm, { migrationsFolder })
  } finally {
    orm.$client.close()
  }
}

if (import.meta.main) {
  const url = process.argv[2] ?? process.env.DATABASE_URL
  if (!url) {
    console.error('Usage: npm run db:migrate -- URL   (or DATABASE_URL; a token goes into DATABASE_TOKEN)')
    process.exit(78)
  }
  // A database file is its owner's alone.
  process.umask(0o077)
  await migrate({ url, token: process.env.DATABASE_TOKEN })
  console.log('The schema is up to date.')
}
