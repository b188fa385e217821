import fc from 'fast-check'
import type { Hex } from 'viem'
import { describe, expect, test } from 'vitest'
import { createRouteFinder } from '../../../src/edge/chain/containers.ts'
import { mergePolicies } from '../../../src/edge/runners/policy.ts'
import { containerIdOf } from '../../../src/protocol/container-hash.ts'
import { policyOf } from '../../support/runner.ts'

function policy(names: readonly string[], epoch = 1) {
  return { epoch, containers: mergePolicies([names.map(name => policyOf(name))]) }
}

describe('containers', () => {
  // Reference node 2.7.
  test.for<[string, Hex]>([
    ['hello-world', '0x5768661526084c7b4d30f7224ed6c74ade98db3c6c395c55400a17f34a547e22'],
    ['echo', '0xe6bc11afcedb3f26d7fb181f4c6dd2e98781d79f965a4777058412b58f788ec8'],
    ['a,b', '0x0deeac3a841600829c99f8116bb997da266d4c47a720b00e6ace9594de82dd54'],
    ['b,a', '0x73ede0fe4b30aa8027db6b64635734b367776b05dc0bcf986c744c6bcbf6892e'],
  ])('default: the hash of %s', ([route, hash]) => {
    expect(containerIdOf(route)).toBe(hash)
    expect(createRouteFinder().find(policy(['b', 'hello-world', 'echo', 'a']), hash)).toBe(route)
  })

  test('behavior: any ordered selection of seven, in any order of asking', () => {
    const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g']
    const known = policy(names)
    const finder = createRouteFinder()
    fc.assert(
      fc.property(fc.shuffledSubarray(names, { minLength: 1 }), selection => {
        const route = selection.join(',')
        expect(finder.find(known, containerIdOf(route))).toBe(route)
      }),
    )
  })

  test('behavior: a hash in capitals', () => {
    const hash = `0x${containerIdOf('a').slice(2).toUpperCase()}` as Hex
    expect(createRouteFinder().find(policy(['a']), hash)).toBe('a')
  })

  test('behavior: what no selection hashes to, repeats a container, or is beyond the bound is not found', () => {
    const finder = createRouteFinder()
    const names = Array.from({ length: 60 }, (_, index) => `c${String(index).padStart(2, '0')}`)
    const known = policy(names)
    expect(finder.find(known, containerIdOf('c59,c00'))).toBe('c59,c00')
    for (const route of ['c00,c01,c02', 'c00,c00', 'other', '', 'c59,c58,c57'])
      expect([route, finder.find(known, containerIdOf(route))]).toEqual([
        route,
        route === 'c00,c01,c02' ? route : null,
      ])
    expect(finder.find(known, containerIdOf('c59'))).toBe('c59')
    expect(finder.find(policy([]), containerIdOf('a'))).toBeNull()
  })

  test('behavior: eleven containers and a selection of all: none is longer than a chain may be', () => {
    const names = Array.from({ length: 11 }, (_, index) => `c${index}`)
    expect(createRouteFinder().find(policy(names), containerIdOf(names.join(',')))).toBeNull()
  })

  test('behavior: another policy is looked through anew', () => {
    const finder = createRouteFinder()
    expect(finder.find(policy(['a']), containerIdOf('a,b'))).toBeNull()
    expect(finder.find(policy(['a', 'b'], 2), containerIdOf('a,b'))).toBe('a,b')
    expect(finder.find(policy(['b'], 3), containerIdOf('a'))).toBeNull()
  })
})
