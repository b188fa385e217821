import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { version as edge } from '../../src/edge/version.ts'
import { version as runner } from '../../src/runner/version.ts'

test('default: package, edge and runner are of one version', () => {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
  expect({ edge, runner }).toEqual({ edge: version, runner: version })
})
