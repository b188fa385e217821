import { globSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { alone } from '../alone.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const noticing =
  /vi\.useFakeTimers\(|vi\.spyOn\((JSON|globalThis|process|console)\b|process\.on\('unhandledRejection'/

test('default: whatever file holds time still, or notices what its process does, has one for itself', () => {
  const files = globSync('test/**/*.test.ts', { cwd: root }).filter(file =>
    noticing.test(readFileSync(`${root}${file}`, 'utf8')),
  )
  expect(files.filter(file => file !== 'test/local/alone.test.ts').sort()).toEqual(alone)
})
