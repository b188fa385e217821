#!/usr/bin/env node
// The compiler as forge calls it: `--version`, and `--standard-json` with the input on stdin. It is npm's solc, WebAssembly, so the
// registry is all that has to be reached. Plain JavaScript without dependencies but solc, because a shell's `node` may be 20.
//
// INFERNET_SOLC_PARTS: into how many runs the work is split; else as many as there are cores, up to 4.
// INFERNET_SOLC_CACHE: the folder of earlier answers; `off` for none.
import { availableParallelism } from 'node:os'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { createCache } from './solc/cache.mjs'
import { compile } from './solc/compile.mjs'
import { manner } from './solc/split.mjs'
import { readVersion } from './solc/version.mjs'

const folder = process.env.INFERNET_SOLC_CACHE ?? join(dirname(fileURLToPath(import.meta.url)), 'cache/solc')
const cache = folder === 'off' ? undefined : createCache(folder)
const parts = Number(process.env.INFERNET_SOLC_PARTS ?? Math.min(availableParallelism(), 4))
const version = readVersion(cache)

if (process.argv.includes('--version')) {
  console.log(`solc, the solidity compiler commandline interface\nVersion: ${version}`)
} else if (process.argv.includes('--standard-json')) {
  const input = await text(process.stdin)
  const key = `${version}\n${manner}\n${input}`
  let output = cache?.read(key)
  if (output === undefined) {
    const { json, failed } = await compile(input, parts)
    if (!failed) cache?.write(key, json)
    output = json
  }
  process.stdout.write(output)
} else {
  console.error('usage: solc.mjs --version | --standard-json < INPUT')
  process.exitCode = 2
}
