import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Schema drift: `src/edge/db/schema` must need no migration that `drizzle/` does not have. */
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
    join(root, 'src/edge/db/schema'),
    '--out',
    // It takes an absolute one for a relative one.
    relative(root, scratch),
  ]
  const { status, stdout, stderr } = spawnSync('drizzle-kit', args, { cwd: root, encoding: 'utf8' })
  if (status !== 0) throw new Error(`drizzle-kit generate failed:\n${stdout}${stderr}`)
  if (readdirSync(scratch).length !== before) {
    console.error('The schema has moved on without a migration: npm run db:generate')
    process.exitCode = 1
  } else if (stdout.includes('nothing to migrate')) console.log('schema and migrations agree')
  // It ends with 0 also where it has failed.
  else throw new Error(`drizzle-kit generate says neither:\n${stdout}${stderr}`)
} finally {
  rmSync(scratch, { recursive: true })
}
