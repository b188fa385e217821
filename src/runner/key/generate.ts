import { generateKeyPairSync } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { keyOf, type RunnerKey } from './key.ts'

/** Makes a key pair and writes the private half to a new file that only its owner may read. Throws EEXIST if there is one. */
export async function generateKey(path: string): Promise<RunnerKey> {
  const { privateKey } = generateKeyPairSync('ed25519')
  const source = /\.(json|jwk)$/.test(path)
    ? `${JSON.stringify(privateKey.export({ format: 'jwk' }))}\n`
    : privateKey.export({ format: 'pem', type: 'pkcs8' })
  await writeFile(path, source, { flag: 'wx', mode: 0o600 })
  return await keyOf(privateKey)
}
