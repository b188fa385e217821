import { readFileSync } from 'node:fs'
import type { Abi, Hex } from 'viem'
import { runForge } from '../../scripts/forge.ts'

/** A contract of contracts/test/support, built if it was not. */
export function readFixture(file: string, name: string): { abi: Abi; bytecode: Hex } {
  if (!runForge(['build', `test/support/${file}.sol`, '--silent']))
    throw new Error('The contracts do not build')
  const path = new URL(`../../contracts/out/${file}.sol/${name}.json`, import.meta.url)
  const { abi, bytecode } = JSON.parse(readFileSync(path, 'utf8'))
  return { abi, bytecode: bytecode.object }
}
