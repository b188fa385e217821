import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { createInterface } from 'node:readline/promises'
import { defineCommand } from 'citty'
import * as v from 'valibot'
import { parseConfig } from '../config/load.ts'
import { type Answers, ContainerText, Edge, Name, untilUsable } from '../init/answers.ts'
import { configText } from '../init/file.ts'
import { generateKey } from '../key/generate.ts'
import type { RunnerKey } from '../key/key.ts'
import { loadKey } from '../key/load.ts'
import { program } from '../program.ts'
import { fail } from './fail.ts'
import { configArg } from './run.ts'

type Given = { edge: string | undefined; name: string; container: string | undefined; yes: boolean }

export const init = defineCommand({
  meta: { name: 'init', description: 'Make the configuration and the key of this host' },
  args: {
    config: configArg,
    edge: { type: 'string', valueHint: 'URL', description: 'The edge (default: INFERNET_EDGE_URL)' },
    container: {
      type: 'string',
      valueHint: 'ID=IMAGE',
      description: 'A container to begin with: its image, or the URL where it runs',
    },
    key: {
      type: 'string',
      valueHint: 'FILE',
      default: 'runner.key',
      description: 'The private key; made when there is none',
    },
    name: {
      type: 'string',
      valueHint: 'NAME',
      default: hostname(),
      description: 'What operators call this host',
    },
    yes: { type: 'boolean', alias: 'y', default: false, description: 'Ask nothing' },
  },
  run: async ({ args }) => {
    const path = args.config ?? process.env.INFERNET_CONFIG_PATH ?? 'config.json'
    if (existsSync(path)) return fail(`${path} exists already and is left as it is`)
    const edge = args.edge ?? process.env.INFERNET_EDGE_URL
    const answers = await answersOf({ edge, name: args.name, container: args.container, yes: args.yes })
    const text = configText({ ...answers, path, keyFile: args.key })
    // Refused before anything is written.
    parseConfig(text, { path, env: {} })
    const key = existsSync(args.key) ? await loadKey(args.key) : await makeKey(args.key)
    await writeFile(path, text, { flag: 'wx', mode: 0o600 }).catch(error => cannotWrite(path, error))
    console.log(nextSteps({ path, keyFile: args.key, key, answers }))
  },
})

async function answersOf(given: Given): Promise<Answers> {
  if (!given.yes && process.stdin.isTTY) return await asked(given)
  if (given.edge === undefined) return fail('Name the edge with --edge URL')
  return {
    edge: usable('--edge', Edge, given.edge),
    name: usable('--name', Name, given.name),
    container: usable('--container', ContainerText, given.container ?? ''),
  }
}

async function asked({ edge = '', name, container = '' }: Given): Promise<Answers> {
  const terminal = createInterface({ input: process.stdin, output: process.stdout })
  const ask = (question: string) => terminal.question(question)
  try {
    return {
      edge: await untilUsable(ask, { text: 'Address of the edge', usual: edge, schema: Edge }),
      name: await untilUsable(ask, { text: 'Name of this host', usual: name, schema: Name }),
      container: await untilUsable(ask, {
        text: 'A container to begin with, as ID=IMAGE or ID=URL (nothing: none yet)',
        usual: container,
        schema: ContainerText,
      }),
    }
  } finally {
    terminal.close()
  }
}

function usable<T extends v.GenericSchema<string, unknown>>(
  flag: string,
  schema: T,
  value: string,
): v.InferOutput<T> {
  const parsed = v.safeParse(schema, value)
  return parsed.success ? parsed.output : fail(`${flag} ${parsed.issues[0].message}`)
}

async function makeKey(path: string): Promise<RunnerKey> {
  return await generateKey(path).catch(error => cannotWrite(path, error))
}

function cannotWrite(path: string, error: NodeJS.ErrnoException): never {
  return fail(
    error.code === 'EEXIST' ? `${path} exists already and is left as it is` : `${path}: ${error.code}`,
  )
}

type Made = { path: string; keyFile: string; key: RunnerKey; answers: Answers }

function nextSteps({ path, keyFile, key, answers: { edge, name } }: Made): string {
  const enrol = `ADMIN_TOKEN=... ${program} enrol --edge ${edge} --name ${word(name)}`
  return `Configuration: ${path}
Private key:   ${keyFile}
Runner id:     ${key.id}

Next, have the edge know this host:
  ${enrol} --key ${word(keyFile)}
or, where the admin token is:
  ${enrol} --public-key ${key.publicKey}
Then:
  ${program} doctor --config ${word(path)}
  ${program} run --config ${word(path)}`
}

/** As a shell takes it for one word. */
function word(text: string): string {
  return /^[\w./:@+-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`
}
