import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { contractModules } from './contract-modules.ts'
import { runForge } from './forge.ts'

/** `npm run abi`: builds the contracts, and writes the TypeScript that is made of them. */
const root = fileURLToPath(new URL('..', import.meta.url))

if (!runForge(['build', 'src', '../examples/consumer'])) process.exit(1)
for (const { path, text } of contractModules()) {
  mkdirSync(dirname(root + path), { recursive: true })
  writeFileSync(root + path, text)
  console.log(path)
}
