import { open } from 'node:fs/promises'
import { type PrivateKeyAccount, privateKeyToAccount } from 'viem/accounts'
import { UsageError } from './exit.ts'

const key = /^(?:0x)?([0-9a-f]{64})$/i

/**
 * The account of a private key, or of one in a file: what has 64 hexadecimal digits, with or without `0x`, and nothing else is a key, whatever
 * files there are.
 * @throws UsageError as `readKey` does.
 */
export async function readAccount(keyOrPath: string): Promise<PrivateKeyAccount> {
  return key.test(keyOrPath) ? toAccount('What is given', keyOrPath) : await readKey(keyOrPath)
}

/**
 * The account of a private key in a file: 64 hexadecimal digits, with or without `0x`.
 * @throws UsageError when it is missing, others than its owner may read it, or it has something else. Nothing of it is told.
 */
export async function readKey(path: string): Promise<PrivateKeyAccount> {
  const file = await open(path, 'r').catch(({ code = 'it cannot be opened' }: NodeJS.ErrnoException) => {
    // Its message has what was taken for a path, which may be a key with a typing mistake.
    throw new UsageError(`Cannot read the key: ${code}; it is neither 64 hexadecimal digits nor a file`)
  })
  try {
    const { mode } = await file.stat()
    if (process.platform !== 'win32' && (mode & 0o077) !== 0)
      throw new UsageError(`${path} can be read or changed by others: chmod 600 ${path}`)
    return toAccount(path, (await file.readFile('utf8')).trim())
  } finally {
    await file.close()
  }
}

function toAccount(path: string, text: string): PrivateKeyAccount {
  const [, digits] = key.exec(text) ?? []
  const problem = new UsageError(`${path} has no private key: 64 hexadecimal digits, with or without 0x`)
  if (digits === undefined) throw problem
  try {
    return privateKeyToAccount(`0x${digits}`)
  } catch {
    // Zero, or beyond the order of the curve; the message would quote it.
    throw problem
  }
}
