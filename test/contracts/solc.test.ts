import { spawn } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { afterEach, beforeEach, expect, test } from 'vitest'

const program = fileURLToPath(new URL('../../contracts/solc.mjs', import.meta.url))

let cache: string
beforeEach(async () => {
  cache = await mkdtemp(join(tmpdir(), 'solc-'))
})
afterEach(() => rm(cache, { recursive: true }))

/** The compiler as forge starts it. */
async function solc(args: readonly string[], { input = '', parts = 1, folder = cache } = {}) {
  const env = { ...process.env, INFERNET_SOLC_PARTS: String(parts), INFERNET_SOLC_CACHE: folder }
  const child = spawn(program, args, { env, stdio: ['pipe', 'pipe', 'inherit'] })
  child.stdin.end(input)
  return text(child.stdout)
}

const compile = (input: string, options: { parts?: number; folder?: string } = {}) =>
  solc(['--base-path', '.', '--standard-json'], { input, ...options })

/** The larger of the two files that are kept; the other has the version. */
async function answerFile() {
  const paths = (await readdir(cache)).map(name => join(cache, name))
  const files = await Promise.all(paths.map(async path => ({ path, size: (await stat(path)).size })))
  return files.sort((a, b) => b.size - a.size)[0]!.path
}

const head = '// SPDX-License-Identifier: MIT\npragma solidity ^0.8.28;\n'

/** Files that use each other, one of them with a warning, and one that deploys another. */
const sources: Record<string, string> = {
  'src/A.sol': `${head}contract A { uint256 public x; function f(uint256 y) external { x = y; } }`,
  'src/B.sol': `${head}import {A} from "./A.sol";\ncontract B is A { function g() external returns (A) { return new A(); } }`,
  'src/C.sol': `${head}library C { function h(bytes memory b) internal pure returns (bytes32) { return keccak256(b); } }
    interface I { error No(uint256 a); event E(address indexed a); }`,
  'test/D.sol': `${head}import {B} from "src/B.sol";\nimport {C, I} from "src/C.sol";
    contract D is I { B b = new B(); function k(uint256 unused) external returns (bytes32) { emit E(msg.sender); return C.h("k"); } }`,
}

function standardJson(files: Record<string, string>): string {
  const wanted = { '*': ['abi', 'evm.bytecode', 'evm.deployedBytecode', 'metadata'], '': ['ast'] }
  return JSON.stringify({
    language: 'Solidity',
    sources: Object.fromEntries(Object.entries(files).map(([name, content]) => [name, { content }])),
    settings: {
      viaIR: true,
      optimizer: { enabled: true, runs: 1_000_000 },
      outputSelection: Object.fromEntries(Object.keys(files).map(name => [name, wanted])),
    },
  })
}

test('default: it tells its version as forge reads it, and the same from its cache', async () => {
  const version = await solc(['--version'])
  expect(version).toMatch(
    /^solc, the solidity compiler commandline interface\nVersion: 0\.8\.37\+commit\.[0-9a-f]{8}\./,
  )
  expect(await solc(['--version'])).toBe(version)
})

test('default: an answer put together from parts is that of one run, to the byte', async () => {
  const input = standardJson(sources)
  const whole = await compile(input)
  expect(Object.keys(JSON.parse(whole).contracts)).toEqual(Object.keys(sources))
  expect(JSON.parse(whole).errors).toHaveLength(1)
  expect(await compile(input, { parts: 2, folder: 'off' })).toBe(whole)
})

test.each([1, 2])(
  'default: tests are compiled without via-IR, and nothing else is, in parts: %i',
  async parts => {
    const input = standardJson({
      'src/A.sol': sources['src/A.sol']!,
      'test/T.t.sol': sources['src/A.sol']!.replace('contract A', 'contract T'),
      'test/compat/U.t.sol': sources['src/A.sol']!.replace('contract A', 'contract U'),
    })
    const { contracts } = JSON.parse(await compile(input, { parts, folder: 'off' }))
    const viaIr = (file: string, name: string) =>
      JSON.parse(contracts[file][name].metadata).settings.viaIR ?? false
    expect([viaIr('src/A.sol', 'A'), viaIr('test/T.t.sol', 'T'), viaIr('test/compat/U.t.sol', 'U')]).toEqual([
      true,
      false,
      true,
    ])
  },
)

test('behavior: with an error in it, it says what one run says', async () => {
  const input = standardJson({
    ...sources,
    'src/E.sol': `${head}contract E { function f() external { x = 1; } }`,
  })
  const whole = await compile(input, { folder: 'off' })
  expect(JSON.parse(whole).errors).toContainEqual(expect.objectContaining({ severity: 'error' }))
  expect(await compile(input, { parts: 2 })).toBe(whole)
  // Failures are not kept.
  expect(await readdir(cache)).toHaveLength(1)
})

test('behavior: an answer that is there is given as it is', async () => {
  const input = standardJson({ 'src/A.sol': sources['src/A.sol']! })
  await compile(input)
  await writeFile(await answerFile(), gzipSync('kept'))
  expect(await compile(input)).toBe('kept')
})

test('behavior: half of an answer is none', async () => {
  const input = standardJson({ 'src/A.sol': sources['src/A.sol']! })
  const answer = await compile(input)
  const path = await answerFile()
  await writeFile(path, (await readFile(path)).subarray(0, -9))
  expect(await compile(input)).toBe(answer)
})
