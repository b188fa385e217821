import { spawn } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { calculateJwkThumbprint } from 'jose'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createAdmin } from '../../src/client/admin.ts'
import { adminToken, startTestEdge, type TestEdge } from '../support/edge.ts'
import { inherited } from '../support/inherited.ts'
import { policyOf, startTestRunner, type TestRunner } from '../support/runner.ts'
import { openUpload, streamed } from '../support/stream.ts'
import { json, startHostileServer } from './hostile.ts'
import { chained, failure, serve } from './serve.ts'

const main = fileURLToPath(new URL('../../src/client/main.ts', import.meta.url))
const uuid = /^[0-9a-f-]{36}\n$/

let edge: TestEdge
let runner: TestRunner
let folder: string

beforeAll(async () => {
  edge = await startTestEdge()
  runner = await startTestRunner(edge, [policyOf('echo'), policyOf('upper'), policyOf('broken')])
  folder = await mkdtemp(join(tmpdir(), 'infernet-command-'))
})
afterAll(async () => {
  await edge[Symbol.asyncDispose]()
  await rm(folder, { recursive: true })
})

type Ran = { code: number | null; stdout: string; stderr: string }

/** The command as a user runs it. */
async function infernet(
  args: string[],
  { stdin = '', env = {} }: { stdin?: string; env?: Record<string, string> } = {},
): Promise<Ran> {
  const child = spawn(process.execPath, [main, ...args], {
    env: { ...inherited(), SERVER_URL: edge.url, NO_COLOR: '1', ...env },
  })
  child.stdin.on('error', () => {}).end(stdin)
  const exited = new Promise<number | null>(resolve => child.once('close', resolve))
  const [stdout, stderr, code] = await Promise.all([text(child.stdout), text(child.stderr), exited])
  return { code, stdout, stderr }
}

const ok = (stdout: unknown) => ({ code: 0, stdout, stderr: '' })

test('default: health, info, resources, check-model', async () => {
  expect(await infernet(['health'])).toEqual(ok('healthy\n'))
  // The node knows of a container some seconds after its runner has told of it; asked whether it is ready, it looks again.
  const info = async () => {
    await edge.request('/ready')
    return (await infernet(['info'])).stdout
  }
  const shown = (text: string) =>
    (JSON.parse(text) as { containers: { id: string }[] }).containers.map(({ id }) => id)
  await expect.poll(async () => shown(await info()), { timeout: 10_000 }).toEqual(['echo', 'upper', 'broken'])
  const text = await info()
  expect(text).toBe(`${JSON.stringify(JSON.parse(text), null, 2)}\n`)
  await using node = await startHostileServer((_, response, { url }) =>
    json(
      response,
      200,
      url?.includes('model_id') ? { echo: { supported: true } } : { echo: { service_id: 'echo' } },
    ),
  )
  expect(await infernet(['resources', '-n', node.url])).toEqual(
    ok('{\n  "echo": {\n    "service_id": "echo"\n  }\n}\n'),
  )
  expect(await infernet(['check-model', '--url', node.url, '-m', 'hf/a b:c&d'])).toMatchObject({ code: 0 })
  expect(node.requests).toEqual(['GET /resources', 'GET /resources?model_id=hf%2Fa+b%3Ac%26d'])
})

test('default: a job, its id, its results', async () => {
  const created = await infernet(['job', '-c', 'echo,upper', '--requires-proof', 'false'], {
    stdin: '{"n": 1.0}',
  })
  expect(created).toEqual(ok(expect.stringMatching(uuid)))
  const id = created.stdout.trim()
  expect((await infernet(['ids', '--status', 'PENDING'])).stdout).toBe(`[\n  "${id}"\n]\n`)
  await using _ = serve(runner, job => chained(job, { said: '{"a":1.0}', output: job.data ?? '' }))
  await expect
    .poll(async () => (await infernet(['ids', '--status', 'pending'])).stdout, { timeout: 5_000 })
    .toBe('[]\n')
  const results = await infernet(['results', '--id', id, '--id', id, '--intermediate'])
  const one = `  {
    "id": "${id}",
    "status": "success",
    "result": {
      "container": "upper",
      "output": {
        "n": 1.0
      }
    },
    "intermediate_results": [
      {
        "container": "echo",
        "output": {
          "a": 1.0
        }
      }
    ]
  }`
  expect(results).toEqual(ok(`[\n${one},\n${one}\n]\n`))
})

test('default: --sync prints the output, raw when it is a string', async () => {
  await using _ = serve(runner)
  expect(
    await infernet(['job', '-c', 'echo', '--sync'], { stdin: '{"b":1.0,"1":9007199254740993}' }),
  ).toEqual(ok('{\n  "b": 1.0,\n  "1": 9007199254740993\n}\n'))
  const input = join(folder, 'in.json')
  const output = join(folder, 'out.txt')
  await writeFile(input, '{"text":"hi"}')
  await using __ = serve(runner, job => chained(job, { said: '1', output: '"caf\\u00e9\\nbar"' }))
  await _[Symbol.asyncDispose]()
  const args = ['job', '-c', 'echo,upper', '--sync', '--retries', '9', '-i', input, '-o', output]
  expect(await infernet(args)).toEqual(ok(''))
  expect(await readFile(output, 'utf8')).toBe('café\nbar\n')
})

test('behavior: a job whose output cannot be written is named', async () => {
  const output = join(folder, 'missing', 'out.txt')
  await using _ = serve(runner)
  for (const sync of [[], ['--sync']]) {
    const ran = await infernet(['job', '-c', 'echo', '-o', output, ...sync], { stdin: '{"n":1}' })
    expect(ran).toEqual({ code: 64, stdout: '', stderr: expect.stringContaining('Cannot write the output') })
    const [, id = ''] = /\(job ([0-9a-f-]{36})\)/.exec(ran.stderr) ?? []
    await expect.poll(async () => (await infernet(['results', '--id', id])).stdout).toContain('"n": 1')
  }
})

test('behavior: --sync of a job that fails prints its error and exits 1', async () => {
  await using _ = serve(runner, job => failure(job, 'out of memory'))
  expect(await infernet(['job', '-c', 'broken', '--sync'], { stdin: '{}' })).toEqual({
    code: 1,
    stdout: 'out of memory\n',
    stderr: '',
  })
})

test('behavior: --sync gives up after --retries seconds, keeps the id, and exits 75', async () => {
  const { code, stdout, stderr } = await infernet(['job', '-c', 'echo', '--sync', '--retries', '1'], {
    stdin: '{}',
  })
  expect({ code, stdout }).toEqual({ code: 75, stdout: '' })
  expect(stderr).toMatch(
    /^Job [0-9a-f-]{36} has not ended after 1 s: ask again with `infernet results --id [0-9a-f-]{36}`\n$/,
  )
  await runner.report((await runner.claim()).map(job => failure(job, 'x')))
})

test('behavior: --sync that gives up says what the job waits for', async () => {
  const waits = infernet(['job', '-c', 'upper', '--sync', '--retries', '1'], { stdin: '{}' })
  const older = `update jobs set created_at = created_at - 10000 where route = 'upper' and state = 'queued' returning id`
  await expect.poll(() => edge.db.orm.all(older)).toHaveLength(1)
  expect((await waits).stderr).toMatch(
    /^Job .* has not ended after 1 s: .*\nIt waits: Every host that could take it is busy with jobs that came before\n$/,
  )
  await runner.report((await runner.claim()).map(job => failure(job, 'x')))
})

test("behavior: refusals are told in the reference's words, and exit 1; those that pass, 75", async () => {
  expect(await infernet(['job', '-c', 'nope'], { stdin: '{}' })).toEqual({
    code: 1,
    stdout: '',
    stderr: '[422] Container not supported - [container=nope]\n',
  })
  await using node = await startHostileServer((_, response) => json(response, 503, { error: 'Full' }))
  expect(await infernet(['job', '-c', 'echo', '--url', node.url], { stdin: '{}' })).toEqual({
    code: 75,
    stdout: '',
    stderr: '[503] Full\n',
  })
})

test('behavior: a job may require labels of its host', async () => {
  const create = (requires: string) =>
    infernet(['job', '-c', 'echo', '--requires', requires], { stdin: '{}' })
  expect(await create('gpu=H100, gpu_memory_gib>=40')).toEqual({
    code: 1,
    stdout: '',
    stderr:
      '[422] No enrolled runner with these containers has such labels - [requires={"gpu":"h100","gpu_memory_gib":40}]\n',
  })
  const labels = { gpu: ['NVIDIA H100'], gpu_memory_gib: [80] }
  const host = await startTestRunner(edge, [policyOf('echo')], fetch, labels)
  const { stdout } = await create('gpu=H100, gpu_memory_gib>=40')
  expect(await host.claim()).toMatchObject([{ id: stdout.trim() }])
})

test('behavior: no node, or something else in its place, exits 69', async () => {
  const { code, stderr } = await infernet(['health', '--url', 'http://127.0.0.1:1'])
  expect({ code, stderr }).toEqual({
    code: 69,
    stderr: expect.stringMatching(/^No answer from .* to GET \/health/),
  })
  await using node = await startHostileServer((_, response) => response.end('<html>'))
  expect(await infernet(['info', '--url', node.url])).toMatchObject({ code: 69 })
})

test('behavior: wrong use is told in a line, and exits 64', async () => {
  const line = async (args: string[], said: string | RegExp) => {
    const { code, stderr } = await infernet(args, { stdin: '[1]', env: { SERVER_URL: '' } })
    expect([code, stderr]).toEqual([64, expect.stringMatching(said)])
  }
  const url = ['--url', edge.url]
  await Promise.all([
    line(['health'], /^Name the node with --url or SERVER_URL\n$/),
    line(['health', '--url', 'node'], /^--url: Invalid URL\n$/),
    line(['healt'], /^Unknown command healt\n$/),
    line(['job', ...url], /^Missing required argument: --containers\n$/),
    line(['job', '-c', 'echo', ...url], /^The input is not the JSON text of an object\n$/),
    line(['job', '-c', 'echo', '--synk', ...url], /^Unknown option --synk\n$/),
    line(['job', '-c', 'echo', '--requires-proof', 'maybe', ...url], /^Unexpected argument maybe\n$/),
    line(['job', '-c', 'echo', '--requires', 'gpu', ...url], /^--requires must be labels such as gpu=H100/),
    line(['job', '-c', 'echo', '--requires', 'gpu=H100,gpu=A100', ...url], /^--requires names gpu twice: /),
    line(['job', '-c', 'echo', '--requires', 'gpu>=x', ...url], /^--requires gpu must be a number\n$/),
    line(['job', '-c', 'echo', '--retries', 'x', ...url], /^--retries must be a number of seconds\n$/),
    line(['job', '-c', 'echo', '-i', join(folder, 'none'), ...url], /^Cannot read the input: ENOENT/),
    line(['ids', '--status', 'gone', ...url], /^--status is one of pending, completed, all\n$/),
    line(['runners', 'list', ...url], /^ADMIN_TOKEN is not set\n$/),
  ])
})

test('behavior: the operator lists, pauses, drains, resumes and revokes runners', async () => {
  const env = { ADMIN_TOKEN: adminToken }
  const other = await startTestRunner(edge, [policyOf('other')])
  const admin = createAdmin({ url: edge.url, token: adminToken })
  const mode = async () => {
    const found = (await admin.listRunners()).find(({ id }) => id === other.id)
    return found?.revoked_at ? 'revoked' : found?.mode
  }
  for (const [verb, said] of Object.entries({
    pause: 'pause',
    drain: 'drain',
    resume: 'run',
    revoke: 'revoked',
  })) {
    expect(await infernet(['runners', verb, other.id], { env })).toEqual(ok(`${other.id} ${said}\n`))
    expect(await mode()).toBe(said)
  }
  const listed = await infernet(['runners', 'list'], { env })
  expect(JSON.parse(listed.stdout)).toEqual(await admin.listRunners())
  expect(await infernet(['runners', 'revoke', 'nobody'], { env })).toMatchObject({
    code: 1,
    stderr: '[404] Runner not found\n',
  })
  expect(await infernet(['runners', 'list'], { env: { ADMIN_TOKEN: 'wrong' } })).toMatchObject({
    code: 1,
    stderr: '[401] Unauthorized\n',
  })
})

test('behavior: an id or a key that begins with a dash is no option', async () => {
  const dashed = (text: unknown) => String(text).startsWith('-')
  // Each is so once in 64.
  const found = async (meets: (key: string, id: string) => boolean) => {
    for (;;) {
      const { x = '' } = generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' })
      const id = await calculateJwkThumbprint({ kty: 'OKP', crv: 'Ed25519', x })
      if (meets(x, id)) return { key: x, id }
    }
  }
  const env = { ADMIN_TOKEN: adminToken }
  const byKey = await found(dashed)
  const enrolled = await infernet(['runners', 'enrol', '--name', 'a', '--public-key', byKey.key], { env })
  expect(enrolled).toEqual(ok(`${byKey.id}\n`))
  const byId = await found((_, id) => dashed(id))
  expect(await infernet(['runners', 'enrol', `--public-key=${byId.key}`, '--name=b'], { env })).toEqual(
    ok(`${byId.id}\n`),
  )
  expect(await infernet(['runners', 'pause', byId.id, '--url', edge.url], { env })).toEqual(
    ok(`${byId.id} pause\n`),
  )
  expect(await infernet(['runners', 'drain', '--', byId.id], { env })).toEqual(ok(`${byId.id} drain\n`))
  expect(await infernet(['runners', 'revoke', '--url', edge.url, byId.id], { env })).toEqual(
    ok(`${byId.id} revoked\n`),
  )
})

test('behavior: help names every command, and the options of each', async () => {
  const { code, stdout } = await infernet(['--help'])
  expect(code).toBe(0)
  for (const name of ['health', 'info', 'resources', 'check-model', 'job', 'results', 'ids', 'runners']) {
    expect(stdout).toContain(name)
  }
  expect((await infernet(['job', '--help'])).stdout).toContain('-c, --containers=<ids>')
})

test('behavior: terms, a key, and cancelling', async () => {
  const key = ['--idempotency-key', 'from-the-shell']
  const create = ['job', '-c', 'echo', '--timeout', '5', '--expires-in', '60', '--priority=-2', ...key]
  const first = await infernet(create, { stdin: '{"n":1}' })
  expect(first).toEqual(ok(expect.stringMatching(uuid)))
  expect(await infernet(create, { stdin: '{"n":1}' })).toEqual(first)
  const id = first.stdout.trim()
  expect(await edge.db.orm.all(`select timeout_ms, priority from jobs where id = '${id}'`)).toEqual([
    { timeout_ms: 5_000, priority: -2 },
  ])
  expect(await infernet(['cancel', '--id', id])).toEqual(ok('cancelled\n'))
  expect(await infernet(['job', '-c', 'echo', '--priority', 'high'], { stdin: '{}' })).toMatchObject({
    code: 64,
    stderr: '--priority must be a number\n',
  })
})

test('default: --stream prints the output as it comes', async () => {
  const args = ['job', '-c', 'echo', '--stream']
  const running = infernet(args, { stdin: '{}' })
  const [job] = await runner.claim({ wait_ms: 20_000 })
  if (!job) throw new Error('Nothing to claim')
  const upload = await openUpload(runner, edge, { ...job, from: 0 })
  upload.write('one\n')
  upload.write('two')
  await upload.end()
  await runner.report([streamed(job, { bytes: 7 })])
  expect(await running).toEqual(ok('one\ntwo'))
})

test('error: --stream of a job that fails', async () => {
  const running = infernet(['job', '-c', 'echo', '--stream'], { stdin: '{}' })
  const [job] = await runner.claim({ wait_ms: 20_000 })
  if (job) await runner.report([failure(job, 'It broke')])
  expect(await running).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('It broke') })
})
