import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { factor } from '../../src/local/containers/examples.ts'
import { type ContainerProcess, startProcess } from '../../src/local/containers/process.ts'

let container: ContainerProcess
beforeAll(async () => {
  container = await startProcess(factor, () => {})
})
afterAll(() => container?.close())

function send(body: string): Promise<Response> {
  return fetch(`${container.url}/service_output`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
  })
}

const word = (number: number) => number.toString(16).padStart(64, '0')
const ask = (number: number) =>
  send(JSON.stringify({ source: 0, destination: 0, data: word(number), requires_proof: true }))

describe('factor', () => {
  test.each([
    [4, 2],
    [91, 7],
    [1_000_003 * 1_000_033, 1_000_003],
    [2 ** 44, 2],
  ])('default: of %d it is %d, with what proves it', async (number, smallest) => {
    const response = await ask(number)
    expect(response.status).toBe(200)
    expect(await response.json()).toEqual({
      raw_input: word(number),
      processed_input: '',
      raw_output: word(smallest),
      processed_output: '',
      proof: word(number) + word(smallest),
    })
  })

  test.each([5, 97, 1_000_003])('behavior: %d is a prime', async number => {
    const response = await ask(number)
    expect(response.status).toBe(422)
    expect(await response.json()).toMatchObject({ code: '422' })
  })

  test.each([
    '',
    '{"data":',
    'null',
    '{"data":"0x12"}',
    `{"data":"${word(3)}"}`,
    `{"data":"${word(2 ** 44 + 1)}"}`,
    '{}',
  ])('behavior: refuses %j, which has no such number', async body => {
    const response = await send(body)
    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({ code: '400', name: 'Bad Request' })
  })

  test('behavior: refuses a body above 1 MiB', async () => {
    expect((await send(`{"data":"${'0'.repeat(1024 * 1024)}"}`)).status).toBe(413)
  })

  test('behavior: says what it is', async () => {
    const said = await fetch(`${container.url}/service-resources`)
    expect(await said.json()).toMatchObject({ service_id: 'factor' })
    const model = await fetch(`${container.url}/service-resources?model_id=a/b`)
    expect(await model.json()).toMatchObject({ supported: false })
    expect((await fetch(`${container.url}/health`)).status).toBe(200)
    expect((await fetch(`${container.url}/nothing`)).status).toBe(404)
  })
})
