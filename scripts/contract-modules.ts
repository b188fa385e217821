import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import * as v from 'valibot'

/**
 * The TypeScript that is made of the contracts named in contracts/exports.json: an interface each (functions, events, errors) for
 * whoever talks to one, and the creation bytecode of those that the local system deploys; both for the example consumers.
 */
export type ContractModule = { path: string; text: string }

const root = fileURLToPath(new URL('..', import.meta.url))

const names = v.array(v.string())
const Exports = v.strictObject({ abi: names, bytecode: names, consumers: names })
const Artifact = v.object({
  abi: v.array(v.looseObject({ type: v.string() })),
  bytecode: v.object({
    object: v.pipe(
      v.string(),
      v.regex(/^0x([0-9a-f]{2})+$/, 'not creation bytecode, or one with unlinked libraries'),
    ),
  }),
})

/** What the modules ought to say, by the artifacts of the last build. */
export function contractModules(): ContractModule[] {
  const exported = v.parse(Exports, readJson('contracts/exports.json'))
  return [
    ...exported.abi.map(abiModule),
    ...exported.bytecode.map(bytecodeModule),
    ...exported.consumers.map(consumerModule),
  ]
}

function abiModule(contract: string): ContractModule {
  const { abi } = v.parse(v.pick(Artifact, ['abi']), readArtifact(contract))
  return format({
    path: `src/protocol/abi/${fileName(contract)}.ts`,
    text: `${note(contract)}export const ${camel(contract)}Abi = ${JSON.stringify(abi)} as const\n`,
  })
}

function bytecodeModule(contract: string): ContractModule {
  const { bytecode } = v.parse(Artifact, readArtifact(contract))
  return format({
    path: `src/local/contracts/${fileName(contract)}.ts`,
    text: `${note(contract)}export const ${camel(contract)}Bytecode = '${bytecode.object}'\n`,
  })
}

function consumerModule(contract: string): ContractModule {
  const { abi, bytecode } = v.parse(Artifact, readArtifact(contract))
  const name = camel(contract)
  return format({
    path: `src/local/consumers/${fileName(contract)}.ts`,
    text: `${note(contract)}export const ${name}Abi = ${JSON.stringify(abi)} as const\nexport const ${name}Bytecode = '${bytecode.object}'\n`,
  })
}

function note(contract: string): string {
  return `/** Made of the contract ${contract} by \`npm run abi\`. */\n`
}

function readArtifact(contract: string): unknown {
  return readJson(`contracts/out/${contract}.sol/${contract}.json`)
}

function readJson(path: string): unknown {
  return JSON.parse(readFileSync(root + path, 'utf8'))
}

/** As the lint wants it, so that nobody's editor changes it. */
function format({ path, text }: ContractModule): ContractModule {
  const args = ['format', `--stdin-file-path=${path}`]
  const { status, stdout, stderr } = spawnSync('biome', args, { cwd: root, input: text, encoding: 'utf8' })
  if (status !== 0) throw new Error(`biome could not format ${path}: ${stderr}`)
  return { path, text: stdout }
}

/** `EIP712Coordinator`: `eip712-coordinator`. */
function fileName(contract: string): string {
  return contract.replace(/([a-z0-9])([A-Z])/g, '$1-$2').toLowerCase()
}

/** `EIP712Coordinator`: `eip712Coordinator`. */
function camel(contract: string): string {
  return contract.replace(/^([A-Z]+(?=[A-Z][a-z]|\d|$)|[A-Z])/, letters => letters.toLowerCase())
}
