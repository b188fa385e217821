import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { askHelper } from '../../src/runner/docker/credential-helper.ts'
import { credentialsFor } from '../../src/runner/docker/credentials.ts'

/** Docker's own `config.json`, and programs that keep what it does not have. */
async function setup() {
  const directory = await mkdtemp(join(tmpdir(), 'infernet-credentials-'))
  vi.stubEnv('PATH', `${directory}:${process.env.PATH}`)
  onTestFinished(async () => {
    vi.unstubAllEnvs()
    await rm(directory, { recursive: true })
  })
  const dockerConfig = join(directory, 'config.json')
  const troubles: string[] = []

  return {
    troubles,
    /** What was on the input of the helper's last call. */
    asked: (name: string) => readFile(join(directory, `${name}.asked`), 'utf8'),
    async helper(name: string, script: string) {
      const path = join(directory, `docker-credential-${name}`)
      await writeFile(
        path,
        `#!/bin/sh\n[ "$1" = get ] || exit 2\ncat > '${directory}/${name}.asked'\n${script}\n`,
      )
      await chmod(path, 0o755)
    },
    write: (config: object) => writeFile(dockerConfig, JSON.stringify(config)),
    async credentials(image: string) {
      const onTrouble = (text: string) => void troubles.push(text)
      const { signal } = new AbortController()
      const encoded = await credentialsFor({ image, configured: null, dockerConfig, onTrouble, signal })
      return encoded === null ? null : (JSON.parse(Buffer.from(encoded, 'base64').toString()) as unknown)
    },
  }
}

const says = (answer: object) => `echo '${JSON.stringify(answer)}'`
const auth = (text: string) => Buffer.from(text).toString('base64')
const { signal } = new AbortController()

describe('credential helpers', () => {
  test('default: the one of the registry, else the one of all, is asked for it by its name', async () => {
    const { helper, write, credentials, asked } = await setup()
    await helper('own', says({ ServerURL: 'r.example.com', Username: 'me', Secret: 'its' }))
    await helper('all', says({ Username: '<token>', Secret: 'a token' }))
    await write({ credsStore: 'all', credHelpers: { 'https://r.example.com': 'own' }, auths: {} })
    expect(await credentials('r.example.com/org/thing:1')).toEqual({
      username: 'me',
      password: 'its',
      serveraddress: 'r.example.com',
    })
    expect(await asked('own')).toBe('r.example.com')
    const hub = 'https://index.docker.io/v1/'
    expect(await credentials('org/thing')).toEqual({ identitytoken: 'a token', serveraddress: hub })
    expect(await asked('all')).toBe(hub)
  })

  test('behavior: one that has none: what the file has, and what `docker login` has left of a registry is nothing', async () => {
    const { helper, write, credentials, troubles } = await setup()
    await helper('all', 'echo "credentials not found in native keychain"; exit 1')
    await write({
      credsStore: 'all',
      auths: { 'a.example.com': {}, 'b.example.com': { auth: auth('me:x:y') } },
    })
    expect(await credentials('a.example.com/thing')).toBeNull()
    expect(await credentials('b.example.com/thing')).toMatchObject({ username: 'me', password: 'x:y' })
    expect(troubles).toEqual([])
  })

  test('behavior: one that fails is told of, without a word of what it said, and the image is tried without', async () => {
    const { helper, write, credentials, troubles } = await setup()
    await helper('failing', 'echo secret; echo secret >&2; exit 3')
    await helper('chatty', 'head -c 100000 /dev/zero')
    await helper('odd', says({ secret: 'secret' }))
    const names = ['failing', 'chatty', 'odd', 'absent', '../evil']
    await write({
      credHelpers: Object.fromEntries(names.map((name, index) => [`r${index}.example.com`, name])),
    })
    for (const index of names.keys()) expect(await credentials(`r${index}.example.com/thing`)).toBeNull()
    expect(troubles).toEqual([
      'docker-credential-failing ended with 3: by hand, `get` with the registry on its input, it says why',
      'docker-credential-chatty has answered more than 65536 bytes',
      'docker-credential-odd has not answered as a credential helper does',
      'docker-credential-absent is not installed',
      'docker-credential-../evil is no name of a credential helper',
    ])
  })

  test('behavior: one that does not answer is killed', async () => {
    const { helper } = await setup()
    await helper('slow', 'sleep 20')
    const asking = askHelper({ name: 'slow', registry: 'r.example.com', signal, timeoutMs: 300 })
    await expect(asking).rejects.toThrow('docker-credential-slow has not answered within 0.3 s')
  })
})
