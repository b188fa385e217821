import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Schema drift: `src/edge/db/schema.ts` must need no migration that `drizzle/` does not have. */
const root = fileURLToPath(new URL('..', import.meta.url))
const scratch = mkdtempSync(join(tmpdir(), 'drizzle-'))
try {
  cpSync(join(root, 'drizzle'), scratch, { recursive: true })
  const before = readdirSync(scratch).length
  const args = [
    'generate',
    '--dialect',
    'turso',
    '--schema',
    join(root, 'src/edge/db/schema.ts'),
    '--out',
    scratch,
  ]
  const { status, stdout, stderr } = spawnSync('drizzle-kit', args, { cwd: root, encoding: 'utf8' })
  if (status !== 0) throw new Error(`drizzle-kit generate failed:\n${stdout}${stderr}`)
  if (readdirSync(scratch).length !== before) {
    console.error('The schema has moved on without a migration: npm run db:generate')
    process.exitCode = 1
  } else console.log('schema and migrations agree')
} finally {
  rmSync(scratch, { recursive: true })
}
