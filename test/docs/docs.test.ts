import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { getTableName } from 'drizzle-orm'
import { getTableConfig, type SQLiteTable } from 'drizzle-orm/sqlite-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Config } from '../../src/edge/config.ts'
import { runChainDemo } from '../../src/local/demo-chain.ts'
import { payDemo } from '../../src/local/demo-paid.ts'
import { openHome } from '../../src/local/home.ts'
import { freePort } from '../../src/local/port.ts'
import { type Stack, startStack } from '../../src/local/stack.ts'
import { createSteps } from '../../src/local/steps.ts'
import { readSettings } from '../../src/local/workerd/settings.ts'
import { errorStatus } from '../../src/protocol/error.ts'
import { limits } from '../../src/protocol/limits.ts'

/**
 * The documents say what is so: their commands run, against the system as `npm start` starts it, and answer in the shape that is
 * shown; what they name exists, and what has to be named is.
 */

const root = fileURLToPath(new URL('../../', import.meta.url))
const read = (path: string) => readFileSync(join(root, path), 'utf8')
const documents = [
  'README.md',
  'CONTRIBUTING.md',
  ...markdownIn('docs'),
  ...markdownIn('examples/containers/chat'),
  ...markdownIn('examples/containers/hello-world'),
  ...markdownIn('examples/containers/ocr'),
]

function markdownIn(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter(path => path.endsWith('.md') && !path.includes('node_modules'))
    .map(path => `${folder}/${path}`)
}

/** A block that runs, and what the document shows as its answer, if anything. */
type Command = { language: string; text: string; answer: { language: string; text: string } | null }

const fence = /^( *)```(\w+)\n([\s\S]*?)^ *```$/gm

/** `sh` and `ts` blocks after a line `<!-- run -->`; with `all`, every `sh` block. */
function commandsOf(document: string, { all }: { all: boolean }): Command[] {
  const text = read(document)
  const blocks = [...text.matchAll(fence)].map(
    ([whole, indent = '', language = '', content = ''], index) => ({
      language,
      text: content.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
      index,
      from: 0,
      whole,
    }),
  )
  let at = 0
  for (const block of blocks) {
    block.from = text.indexOf(block.whole, at)
    at = block.from + block.whole.length
  }
  return blocks
    .filter(block => isMarked(text.slice(0, block.from)) || (all && block.language === 'sh'))
    .map(({ language, text: content, index, from, whole }) => {
      const next = blocks[index + 1]
      const follows = next && text.slice(from + whole.length, next.from).trim() === ''
      return { language, text: content, answer: follows && /json|http/.test(next.language) ? next : null }
    })
}

function isMarked(before: string): boolean {
  return before.trimEnd().endsWith('<!-- run -->')
}

describe('commands', () => {
  let stack: Stack
  let workspace: string

  /** A folder like a clone in which `npm start` runs: the documents' relative paths hold, and nothing is written into this one. */
  beforeAll(async () => {
    workspace = mkdtempSync(join(tmpdir(), 'infernet-docs-'))
    for (const name of ['package.json', 'node_modules', 'src', 'drizzle', 'examples'])
      symlinkSync(join(root, name), join(workspace, name))
    stack = await startStack({
      home: openHome(join(workspace, '.local')),
      steps: createSteps(() => {}),
      port: await freePort(),
      portRequired: true,
      docker: 'off',
      log: () => {},
    })
    if (!stack.chain) throw new Error('There is no chain')
    const demo = { chain: stack.chain, url: stack.edge.url, steps: createSteps(() => {}) }
    await runChainDemo(demo)
    await payDemo(demo)
  }, 180_000)
  afterAll(async () => {
    await stack?.close()
    rmSync(workspace, { recursive: true, force: true })
  })

  const here = (text: string) =>
    text
      .replaceAll(/http:\/\/127\.0\.0\.1:4000|https:\/\/edge\.example\.com/g, stack.edge.url)
      .replaceAll('http://127.0.0.1:8545', stack.chain?.rpcUrl ?? '')

  async function run(program: string, args: readonly string[]): Promise<string> {
    const env = {
      ...process.env,
      ADMIN_TOKEN: openHome(join(workspace, '.local')).adminToken,
      DATABASE_URL: stack.database.url,
    }
    const child = spawn(program, args, { cwd: workspace, env, stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    let errors = ''
    child.stdout.on('data', chunk => {
      output += chunk
    })
    child.stderr.on('data', chunk => {
      errors += chunk
    })
    // A loop that waits for a result would wait for ever when nothing answers.
    const timer = setTimeout(() => child.kill('SIGKILL'), 150_000)
    const [code] = await once(child, 'close')
    clearTimeout(timer)
    expect({ code, errors: code === 0 ? '' : errors, output: code === 0 ? '' : output }).toEqual({
      code: 0,
      errors: '',
      output: '',
    })
    return output
  }

  /** Runs the `sh` blocks in one shell, as a reader would. @returns what each printed. */
  async function runShell(commands: readonly Command[]): Promise<string[]> {
    const mark = '@@ next block @@'
    const script = commands.map(({ text }) => here(text)).join(`\necho; echo '${mark}'\n`)
    const output = await run('sh', ['-eu', '-c', script])
    return output.split(`\n${mark}\n`)
  }

  function compare({ text, answer }: Command, output: string): void {
    if (answer === null) return
    const { body, head } = answer.language === 'http' ? split(answer.text) : { body: answer.text, head: [] }
    const given = answer.language === 'http' ? split(output) : { body: output, head: [] }
    expect(given.head, text).toEqual(expect.arrayContaining(head))
    const expected = parse(body)
    if (expected === undefined) expect(output.trim(), text).toBe(body.trim())
    else {
      const actual = parse(given.body)
      expect(shapeOf(actual, expected), text).toEqual(shapeOf(expected, actual))
    }
  }

  test('README.md: what is marked runs, and answers as shown', async () => {
    const commands = commandsOf('README.md', { all: false })
    const shell = commands.filter(({ language }) => language === 'sh')
    expect(commands).toHaveLength(shell.length + 1)
    const outputs = await runShell(shell)
    shell.forEach((command, index) => {
      compare(command, outputs[index] ?? '')
    })
    expect(outputs[0]).toContain('Northwind Bakery Supply\\nNumber 4725')
    expect(outputs[1]).toMatch(/^[0-9a-f-]{36}\n\s*\S/)
    expect(JSON.parse(outputs[2] ?? '')).toMatchObject({ deliveries: [{ state: 'delivered' }] })
    expect(outputs[3]).toMatch(/runner id: +[\w-]{43}\n[\s\S]*gpu-1 is enrolled/)
    expect(JSON.parse(readFileSync(join(workspace, 'config.json'), 'utf8'))).toHaveProperty('edge.key_file')
    expect(outputs[4]).toContain('The schema is up to date.')
    const snippet = commands.find(({ language }) => language === 'ts')
    writeFileSync(join(workspace, 'try.ts'), here(snippet?.text ?? ''))
    expect(await run(process.execPath, ['try.ts'])).toContain('Northwind Bakery Supply')
  })

  test("docs/openai.md: OpenAI's client chats with a container", async () => {
    const [snippet] = commandsOf('docs/openai.md', { all: false })
    writeFileSync(join(workspace, 'openai.ts'), here(snippet?.text ?? ''))
    expect(await run(process.execPath, ['openai.ts'])).toMatch(/\S/)
  })

  test('docs/payments.md: a wallet is made, funded, approved, and given back', async () => {
    const commands = commandsOf('docs/payments.md', { all: false })
    const [made = '', left = ''] = await runShell(commands)
    expect(JSON.parse(made.slice(made.indexOf('{')))).toMatchObject({
      total: '100000000000000000',
      locked: '0',
      made_by_factory: true,
    })
    expect(left.trim()).toMatch(/^Success: withdrawal of amount: 0\.1 ether\n[\s\S]*\n50000000000000000$/)
  })

  test('docs/api.md: every command runs, and answers as shown', async () => {
    const commands = commandsOf('docs/api.md', { all: true })
    expect(commands.length).toBeGreaterThan(15)
    const outputs = await runShell(commands)
    commands.forEach((command, index) => {
      compare(command, outputs[index] ?? '')
    })
  })
})

/** A response as `curl -i` prints it: its status and the names of its headers, and its body. */
function split(text: string): { head: string[]; body: string } {
  const [head = '', ...body] = text.replaceAll('\r', '').split('\n\n')
  const [status = '', ...headers] = head.split('\n')
  const names = headers.map(header => header.split(':')[0]?.toLowerCase() ?? '')
  return { head: [status.trim(), ...names], body: body.join('\n\n') }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/**
 * Keys and types, without values. Of lists the first element, where the other one has one too; null is like anything, and so are labels, which
 * are another host's.
 */
function shapeOf(value: unknown, other: unknown): unknown {
  if (value === null || other === null) return null
  if (Array.isArray(value)) {
    const [first] = Array.isArray(other) ? other : []
    return value.length > 0 && first !== undefined ? [shapeOf(value[0], first)] : []
  }
  if (typeof value !== 'object') return typeof value
  const others = Object(other) as Record<string, unknown>
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [key, key === 'labels' ? null : shapeOf(inner, others[key])]),
  )
}

describe('what documents name exists', () => {
  test('default: relative links lead to files and headings', () => {
    const broken = documents.flatMap(document =>
      [...read(document).matchAll(/\]\((?!\w+:)([^)#]*)(?:#([^)]*))?\)/g)]
        .filter(([, path = '', heading]) => !leadsSomewhere({ document, path, heading }))
        .map(([link]) => `${document}: ${link}`),
    )
    expect(broken).toEqual([])
  })

  function leadsSomewhere(link: { document: string; path: string; heading: string | undefined }): boolean {
    const target = link.path === '' ? link.document : join(dirname(link.document), link.path)
    try {
      return link.heading === undefined ? read(target) !== '' : headingsOf(target).includes(link.heading)
    } catch {
      return false
    }
  }

  function headingsOf(document: string): string[] {
    return [...read(document).matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\w\- ]/g, '')
        .replaceAll(' ', '-'),
    )
  }

  test('behavior: npm scripts', () => {
    const missing = documents.flatMap(document => {
      const folder = document.startsWith('examples/') ? dirname(document) : '.'
      const { scripts } = JSON.parse(read(`${folder}/package.json`)) as { scripts: Record<string, string> }
      return [...read(document).matchAll(/npm run (?:-s |--silent )?([\w:]+)/g)]
        .map(([, script = '']) => script)
        .filter(script => !(script in scripts))
        .map(script => `${document}: ${script}`)
    })
    expect(missing).toEqual([])
  })

  test('behavior: files in backquotes', () => {
    const missing = documents.flatMap(document =>
      [...read(document).matchAll(/`((?:src|test|bench|scripts|drizzle|examples|docs|\.ci)\/[\w./-]+)`/g)]
        .map(([, path = '']) => path)
        .filter(path => !exists(path))
        .map(path => `${document}: ${path}`),
    )
    expect(missing).toEqual([])
  })

  function exists(path: string): boolean {
    const folder = path.replace(/\/$/, '')
    try {
      return readdirSync(join(root, dirname(folder))).includes(folder.split('/').at(-1) ?? '')
    } catch {
      return false
    }
  }
})

describe('what has to be named is', () => {
  const missingIn = (names: readonly string[], text: string) =>
    names.filter(name => !text.includes(`\`${name}\``))

  test('default: every document is in the index, every decision in docs/architecture.md too', () => {
    const others = documents.filter(document => document.startsWith('docs/') && document !== 'docs/README.md')
    const linked = (from: string, paths: readonly string[]) =>
      paths.filter(path => !read(from).includes(`(${path.replace('docs/', '')})`))
    expect(linked('docs/README.md', others)).toEqual([])
    const decisions = others.filter(path => path.startsWith('docs/decisions/'))
    expect(linked('docs/architecture.md', decisions)).toEqual([])
  })

  test('behavior: every var and secret, in wrangler.toml and docs/operations.md', () => {
    const names = Object.keys(Config.entries)
    expect(missingIn(names, read('docs/operations.md'))).toEqual([])
    expect(names.filter(name => !read('wrangler.toml').includes(name))).toEqual([])
    const vars = Object.keys(readSettings(join(root, 'wrangler.toml')).vars)
    expect(new Set(vars).difference(new Set(names))).toEqual(new Set())
  })

  test('behavior: every error code', () => {
    const text = read('docs/api.md') + read('docs/compatibility.md')
    expect(missingIn(Object.keys(errorStatus), text)).toEqual([])
  })

  test('behavior: every limit', () => {
    expect(missingIn(Object.keys(limits), read('docs/architecture.md'))).toEqual([])
  })

  test('behavior: every table, column, index and trigger', async () => {
    const text = read('docs/storage.md')
    const folder = join(root, 'src/edge/db/schema')
    const modules = readdirSync(folder).map(
      async file => (await import(join(folder, file))) as Record<string, SQLiteTable>,
    )
    const tables = (await Promise.all(modules)).flatMap(module => Object.values(module))
    expect(tables.length).toBeGreaterThan(0)
    const headings = [...text.matchAll(/^## (.*)$/gm)].flatMap(([, heading = '']) => heading.split(', '))
    expect(tables.map(getTableName).filter(name => !headings.includes(name))).toEqual([])
    const parts = tables.flatMap(table => {
      const { columns, indexes } = getTableConfig(table)
      return [...columns.map(({ name }) => name), ...indexes.map(index => index.config.name)]
    })
    const triggers = readdirSync(join(root, 'drizzle'))
      .filter(file => file.endsWith('.sql'))
      .flatMap(file => [...read(`drizzle/${file}`).matchAll(/CREATE TRIGGER `(\w+)`/g)])
      .map(([, name = '']) => name)
    expect(triggers.length).toBeGreaterThan(0)
    expect(missingIn([...parts, ...triggers], text)).toEqual([])
  })
})
