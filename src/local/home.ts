import { randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Where the local stack keeps its database, key, secrets and spool between starts. */
export type Home = {
  folder: string
  database: string
  keyFile: string
  runnerConfig: string
  adminToken: string
}

/** Opens the folder, making on first use what only its owner may read. */
export function openHome(folder: string): Home {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  return {
    folder,
    database: join(folder, 'infernet.db'),
    keyFile: join(folder, 'runner.pem'),
    runnerConfig: join(folder, 'config.json'),
    adminToken: readOrMakeSecret(join(folder, 'admin-token')),
  }
}

function readOrMakeSecret(path: string): string {
  try {
    writeFileSync(path, randomBytes(24).toString('base64url'), { flag: 'wx', mode: 0o600 })
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
  }
  return readFileSync(path, 'utf8').trim()
}
