import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { clock } from '../../src/local/containers/examples.ts'
import { type ContainerProcess, startProcess } from '../../src/local/containers/process.ts'

let container: ContainerProcess
beforeAll(async () => {
  container = await startProcess(clock, () => {})
})
afterAll(() => container?.close())

function send(body: string): Promise<Response> {
  return fetch(`${container.url}/service_output`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
  })
}

describe('clock', () => {
  test('default', async () => {
    const before = Math.floor(Date.now() / 1000)
    const response = await send('{"source":0,"destination":0,"data":"c0ffee","requires_proof":false}')
    expect(response.status).toBe(200)
    const { raw_output, ...rest } = (await response.json()) as Record<string, string>
    expect(rest).toEqual({ raw_input: 'c0ffee', processed_input: '', processed_output: '', proof: '' })
    expect(raw_output).toMatch(/^[0-9a-f]{64}$/)
    const seconds = Number(BigInt(`0x${raw_output}`))
    expect(seconds).toBeGreaterThanOrEqual(before)
    expect(seconds).toBeLessThanOrEqual(Date.now() / 1000)
  })

  test.each(['{"data":{"some":"thing"}}', '{"data":"abc"}', '{"data":"0x12"}', '{}'])(
    'behavior: input that is no hex, as in %s, is left out',
    async body => expect(await (await send(body)).json()).toMatchObject({ raw_input: '' }),
  )

  test.each(['', '{"data":', 'null'])('behavior: refuses %j, which is no object', async body => {
    const response = await send(body)
    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({ code: '400', name: 'Bad Request' })
  })

  test('behavior: refuses a body above 1 MiB', async () => {
    expect((await send(`{"data":"${'0'.repeat(1024 * 1024)}"}`)).status).toBe(413)
  })

  test('behavior: says what it is', async () => {
    const said = await fetch(`${container.url}/service-resources`)
    expect(await said.json()).toMatchObject({ service_id: 'clock' })
    const model = await fetch(`${container.url}/service-resources?model_id=a/b`)
    expect(await model.json()).toMatchObject({ supported: false })
    expect((await fetch(`${container.url}/health`)).status).toBe(200)
    expect((await fetch(`${container.url}/nothing`)).status).toBe(404)
  })
})
