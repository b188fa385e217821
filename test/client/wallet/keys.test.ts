import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { keys, owner, startWorld, stranger, type World } from './world.ts'

/** Where keys come from, and that they go nowhere. */

let world: World
let folder: string

beforeAll(async () => {
  world = await startWorld()
  folder = await mkdtemp(join(tmpdir(), 'infernet-keys-'))
}, 60_000)
afterAll(async () => {
  await world?.close()
  if (folder) await rm(folder, { recursive: true })
})

async function file(name: string, content: string, mode: number): Promise<string> {
  const path = join(folder, name)
  await writeFile(path, content)
  await chmod(path, mode)
  return path
}

const fund = (args: readonly string[], key?: string) =>
  world.ran(['fund', '-w', world.wallet, '-a', '1', ...args], { PRIVATE_KEY: key ?? '' })
/** Who has sent what a command says it has. */
async function senderOf({ stdout }: { stdout: string }): Promise<string> {
  const [, hash] = /tx: (0x\w{64})/.exec(stdout) ?? []
  const { from } = await world.chain.deployer.chain.getTransaction({ hash: hash as `0x${string}` })
  return from
}

describe('keys', () => {
  test('default: a key, or a file with one, in the environment or as an option', async () => {
    const path = await file('key', `${keys.stranger.slice(2)}\n`, 0o600)
    const stranger_ = stranger.address.toLowerCase()
    expect(await senderOf(await fund([], keys.owner.slice(2)))).toBe(owner.address.toLowerCase())
    for (const args of [
      ['-pk', keys.stranger],
      ['--private-key', keys.stranger],
      [`-pk=${keys.stranger}`],
      ['-pk', path],
    ])
      expect([args, await senderOf(await fund(args, keys.owner))]).toEqual([args, stranger_])
    expect(await senderOf(await fund([], path))).toBe(stranger_)
  }, 60_000)

  test('behavior: what is wrong with one is told, and nothing of it', async () => {
    const mistyped = keys.owner.slice(0, -1)
    const open = await file('open', keys.owner, 0o644)
    const other = await file('other', mistyped, 0o600)
    const runs: [readonly string[], string | undefined, RegExp][] = [
      [[], undefined, /^Say --private-key, or set PRIVATE_KEY\n$/],
      [
        ['-pk', mistyped],
        undefined,
        /^Cannot read the key: ENOENT; it is neither 64 hexadecimal digits nor a file\n$/,
      ],
      [[], mistyped, /^Cannot read the key: ENOENT/],
      [[], `0x${'f'.repeat(64)}`, /^What is given has no private key/],
      [['-pk', open], undefined, /can be read or changed by others: chmod 600 /],
      [['-pk', other], undefined, /has no private key: 64 hexadecimal digits/],
      [[keys.owner], undefined, /^Unexpected argument\n$/],
    ]
    for (const [args, key, said] of runs) {
      const ran = await fund(args, key)
      expect([args, ran]).toEqual([args, { code: 64, stdout: '', stderr: expect.stringMatching(said) }])
      expect(ran.stderr).not.toMatch(/a1a1|ffff/)
    }
  }, 60_000)
})
