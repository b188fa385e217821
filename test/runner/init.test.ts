import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFinished, test } from 'vitest'
import { loadKey } from '../../src/runner/key/load.ts'
import { spawnMain } from './spawn.ts'

const main = fileURLToPath(new URL('../../src/runner/main.ts', import.meta.url))

async function setup() {
  const directory = await mkdtemp(join(tmpdir(), 'infernet-init-'))
  onTestFinished(() => rm(directory, { recursive: true }))
  const config = join(directory, 'config.json')
  const key = join(directory, 'runner.key')
  return {
    config,
    key,
    async init(...args: string[]) {
      const spawned = spawnMain(['init', '--config', config, '--key', key, ...args])
      const { code } = await spawned.exited
      return { code, output: spawned.output() }
    },
    read: async () => JSON.parse(await readFile(config, 'utf8')),
  }
}

describe('init', () => {
  test('default: writes a configuration and a key for their owner alone, and says how to enrol', async () => {
    const { config, key, init, read } = await setup()
    const args = ['--edge', 'https://edge.example.com', '--container', 'hello=org/hello:1.0']
    const { code, output } = await init('--yes', '--name', "it's", ...args)
    expect(code).toBe(0)
    expect(await read()).toEqual({
      edge: { url: 'https://edge.example.com', key_file: 'runner.key' },
      containers: [{ id: 'hello', image: 'org/hello:1.0' }],
    })
    for (const path of [config, key]) expect((await stat(path)).mode & 0o777).toBe(0o600)
    const { id, publicKey } = await loadKey(key)
    expect(output).toContain(`Runner id:     ${id}`)
    const enrol = `ADMIN_TOKEN=... infernet-runner enrol --edge https://edge.example.com --name 'it'\\''s'`
    expect(output).toContain(`${enrol} --key ${key}\n`)
    expect(output).toContain(`${enrol} --public-key ${publicKey}\n`)
  })

  test('behavior: a container that runs elsewhere is named by its URL', async () => {
    const { init, read } = await setup()
    await init('--yes', '--edge', 'http://127.0.0.1:4000', '--container', 'far=https://gpu.example.com/a=b')
    expect((await read()).containers).toEqual([{ id: 'far', url: 'https://gpu.example.com/a=b' }])
  })

  test('behavior: overwrites nothing, and takes a key that is there', async () => {
    const { config, key, init, read } = await setup()
    await spawnMain(['keygen', '--out', key]).exited
    const before = await readFile(key, 'utf8')
    expect((await init('--yes', '--edge', 'http://one.example.com')).code).toBe(0)
    expect(await readFile(key, 'utf8')).toBe(before)
    const again = await init('--yes', '--edge', 'http://two.example.com')
    expect(again).toEqual({ code: 1, output: `${config} exists already and is left as it is\n` })
    expect((await read()).edge.url).toBe('http://one.example.com')
  })

  test('behavior: refuses what it cannot use before it writes anything', async () => {
    const { config, key, init } = await setup()
    expect(await init('--yes')).toEqual({ code: 1, output: 'Name the edge with --edge URL\n' })
    expect((await init('--yes', '--edge', 'edge.example.com')).output).toContain('--edge must be a URL')
    const bad = await init('--yes', '--edge', 'http://a.example.com', '--container', 'no image')
    expect(bad.output).toContain('--container must be ID=IMAGE')
    for (const path of [config, key]) await expect(stat(path)).rejects.toThrow('ENOENT')
  })

  test('behavior: asks on a terminal, again where an answer cannot be used', async () => {
    const { config, key, read } = await setup()
    const command = [process.execPath, main, 'init', '--config', config, '--key', key]
    const terminal = spawn('script', ['-qec', command.join(' '), '/dev/null'], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    onTestFinished(() => void terminal.kill('SIGKILL'))
    let output = ''
    const said = async (text: string) => {
      while (!output.includes(text)) output += (await once(terminal.stdout, 'data'))[0]
      output = ''
    }
    const type = (line: string) => terminal.stdin.write(`${line}\n`)
    const ended = once(terminal, 'close')
    await said('Address of the edge: ')
    type('edge')
    await said('It must be a URL')
    type('https://edge.example.com')
    await said('Name of this host')
    type('')
    await said('A container to begin with')
    type('one=org/one')
    expect(await ended).toEqual([0, null])
    expect(await read()).toEqual({
      edge: { url: 'https://edge.example.com', key_file: 'runner.key' },
      containers: [{ id: 'one', image: 'org/one' }],
    })
  })
})

describe('config check', () => {
  test('default: tells every problem and ends with 78, or says that it can be used', async () => {
    const { config } = await setup()
    const check = async (file: object) => {
      await writeFile(config, JSON.stringify(file))
      const spawned = spawnMain(['config', 'check', config])
      return { ...(await spawned.exited), output: spawned.output() }
    }
    const bad = await check({ slots: 0, containers: [{ id: 'a' }] })
    expect(bad.code).toBe(78)
    const lines = bad.output.trim().split('\n')
    expect(lines.map(line => line.split(':')[0])).toEqual(['edge', 'slots', 'containers[0].image'])
    const edge = { url: 'https://edge.example.com', key_file: 'k' }
    const good = await check({ edge, containers: [{ id: 'a', image: 'i' }], log: { path: 'x' } })
    expect(good.code).toBe(0)
    expect(good.output).toMatch(/^warning: log\.path is set on the edge.*\nIt can be used\. Containers: a\n$/)
  })
})
