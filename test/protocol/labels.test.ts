import * as v from 'valibot'
import { describe, expect, test } from 'vitest'
import { containersOf, Images, requiresOf, routeOf } from '../../src/protocol/container.ts'
import { Labels, meets, plainLabels, Requires } from '../../src/protocol/labels.ts'

const has = (labels: Labels, requires: Requires) =>
  meets(plainLabels(labels), requiresOf(routeOf(['a'], requires)) ?? {})

describe('meets', () => {
  test.for([
    ['NVIDIA H100 80GB HBM3', 'H100', true],
    ['NVIDIA H100 80GB HBM3', 'h100 80gb', true],
    ['NVIDIA A100-SXM4-80GB', 'a100', true],
    ['NVIDIA A100-SXM4-80GB', 'A100-SXM4', true],
    ['NVIDIA GeForce RTX 4090', 'RTX 4090', true],
    ['NVIDIA GeForce RTX 4090', '4090', true],
    ['NVIDIA GeForce RTX 4090', 'RTX 409', false],
    ['NVIDIA GH200 480GB', 'H200', false],
    ['NVIDIA L40S', 'L40', false],
  ] as const)('default: %s is a %s: %s', ([name, wanted, expected]) => {
    expect(has({ gpu: [name] }, { gpu: wanted })).toBe(expected)
  })

  test('default: other text is compared whole, but for its case; a number is the least', () => {
    const labels = { region: ['EU-West'], gpu_memory_gib: [24, 80], zone: ['7'] }
    expect(has(labels, { region: ' eu-west ' })).toBe(true)
    expect(has(labels, { region: 'eu' })).toBe(false)
    expect(has(labels, { gpu_memory_gib: 80 })).toBe(true)
    expect(has(labels, { gpu_memory_gib: 81 })).toBe(false)
    expect(has(labels, { zone: 7 })).toBe(false)
    expect(has(labels, { zone: '7' })).toBe(true)
    expect(has(labels, { absent: 'x' })).toBe(false)
    expect(has(labels, { constructor: 'x' })).toBe(false)
    expect(has(labels, { region: 'eu-west', gpu_memory_gib: 81 })).toBe(false)
    expect(has(labels, {})).toBe(true)
  })
})

describe('routeOf', () => {
  test('default: one text for all that ask the same', () => {
    const route = "a,b {'gpu':'h100','region':'eu'}"
    expect(routeOf(['a', 'b'], { region: 'EU', gpu: 'H100' })).toBe(route)
    expect(routeOf(['a', 'b'], { gpu: ' h100', region: 'eu ' })).toBe(route)
    expect(containersOf(route)).toEqual(['a', 'b'])
    expect(requiresOf(route)).toEqual({ gpu: 'h100', region: 'eu' })
  })

  test('behavior: asking nothing is as it was', () => {
    for (const requires of [undefined, null, {}]) expect(routeOf(['a', 'b'], requires)).toBe('a,b')
    expect(requiresOf('a,b')).toBeNull()
    expect(containersOf('')).toEqual([])
  })
})

describe('schemas', () => {
  test.for([
    { GPU: 'x' },
    { gpu: '' },
    { gpu: ' ' },
    { gpu: '--' },
    { gpu: 1.5 },
    { gpu: -1 },
    { gpu: ['x'] },
    { gpu: true },
    { '': 'x' },
    [],
    ['x'],
    'gpu',
  ])('error: required %j', requires => {
    expect(v.is(Requires, requires)).toBe(false)
  })

  test.for(['constructor', 'prototype'])('behavior: a label may be called %s, as any other', name => {
    const labels = JSON.parse(`{"${name}":["x"],"region":["eu"]}`) as unknown
    expect(JSON.stringify(v.parse(Labels, labels))).toContain(`"${name}":["x"]`)
    const requires = v.parse(Requires, JSON.parse(`{"${name}":"x"}`))
    expect(routeOf(['a'], requires)).toBe(`a {'${name}':'x'}`)
    expect(has(v.parse(Labels, labels), requires)).toBe(true)
    expect(has({ region: ['eu'] }, requires)).toBe(false)
    expect(v.is(Requires, JSON.parse(`{"${name}":true}`))).toBe(false)
    const images = v.parse(Images, JSON.parse(`{"${name}":"org/x@sha256:aa"}`))
    expect(Object.entries(images)).toEqual([[name, 'org/x@sha256:aa']])
  })

  test('error: __proto__ is no name', () => {
    const { issues } = v.safeParse(Requires, JSON.parse('{"__proto__":"x"}'))
    expect(issues?.map(issue => v.getDotPath(issue))).toEqual(['__proto__'])
    expect(v.is(Labels, JSON.parse('{"__proto__":["x"]}'))).toBe(false)
    expect(v.is(Images, JSON.parse('{"__proto__":"x"}'))).toBe(false)
  })

  test('error: more than is stored', () => {
    const many = Object.fromEntries(Array.from({ length: 33 }, (_, index) => [`l${index}`, ['x']]))
    expect(v.is(Labels, many)).toBe(false)
    expect(
      v.is(
        Requires,
        Object.fromEntries(
          Object.keys(many)
            .slice(0, 9)
            .map(name => [name, 'x']),
        ),
      ),
    ).toBe(false)
    const long = Array.from({ length: 64 }, (_, index) => `${index}`.padEnd(128, 'x'))
    expect(v.is(Labels, { a: long })).toBe(false)
  })
})
