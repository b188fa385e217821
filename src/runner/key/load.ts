import { open } from 'node:fs/promises'
import { ConfigError } from '../config/problem.ts'
import { program } from '../program.ts'
import { parseKey, type RunnerKey } from './key.ts'

/** @throws ConfigError when the file is missing, readable by others, or not an Ed25519 private key. */
export async function loadKey(path: string): Promise<RunnerKey> {
  const file = await open(path, 'r').catch(() => {
    throw refusal(`${path} cannot be opened`, `make a key with \`${program} keygen --out ${path}\``)
  })
  try {
    const { mode } = await file.stat()
    if ((mode & 0o007) !== 0)
      throw refusal(`${path} can be read or changed by every user`, `chmod 600 ${path}`)
    const source = await file.readFile('utf8')
    return await parseKey(source).catch(() => {
      throw refusal(
        `${path} is not an Ed25519 private key in PKCS#8 PEM or JWK form`,
        `make a key with \`${program} keygen --out FILE\``,
      )
    })
  } finally {
    await file.close()
  }
}

function refusal(what: string, fix: string): ConfigError {
  return new ConfigError([{ path: 'edge.key_file', what, fix }])
}
