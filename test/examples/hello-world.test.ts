import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { helloWorld } from '../../src/local/containers/examples.ts'
import { type ContainerProcess, startProcess } from '../../src/local/containers/process.ts'

let container: ContainerProcess
beforeAll(async () => {
  container = await startProcess(helloWorld, () => {})
})
afterAll(() => container?.close())

function send(body: string): Promise<Response> {
  return fetch(`${container.url}/service_output`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
  })
}

describe('hello-world', () => {
  test('default', async () => {
    const response = await send(
      '{ "source": 1, "destination": 1, "data": {"some": "in put"}, "requires_proof": false }',
    )
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toBe('application/json')
    expect(await response.json()).toEqual({
      output:
        'hello, world!, your input was: {"source":1,"destination":1,"data":{"some":"in put"},"requires_proof":false}',
    })
  })

  test('behavior: repeats numbers and escapes as they were sent', async () => {
    const data = '{"n":123456789012345678901234567890,"d":1.0,"s":"a \\" b \\u00e9"}'
    const { output } = (await (await send(`{"data": ${data}}`)).json()) as { output: string }
    expect(output).toBe(`hello, world!, your input was: {"data":${data}}`)
  })

  test('behavior: on-chain input is text', async () => {
    const response = await send('{"source":0,"destination":0,"data":"c0ffee","requires_proof":false}')
    expect(await response.json()).toEqual({
      output:
        'hello, world!, your input was: {"source":0,"destination":0,"data":"c0ffee","requires_proof":false}',
    })
  })

  test.each(['', '{"data":', 'hello'])('behavior: refuses %j, which is not JSON', async body => {
    const response = await send(body)
    expect(response.status).toBe(400)
    expect(await response.json()).toEqual({
      code: '400',
      name: 'Bad Request',
      description: expect.stringContaining('not JSON'),
    })
  })

  test('behavior: refuses a body above 16 MiB', async () => {
    const response = await send(`"${'x'.repeat(16 * 1024 * 1024)}"`)
    expect(response.status).toBe(413)
    expect(await response.json()).toMatchObject({ code: '413' })
  })

  test('behavior: survives a client that leaves in the middle of its body', async () => {
    const socket = connect(Number(new URL(container.url).port), '127.0.0.1')
    await new Promise(resolve =>
      socket.write('POST /service_output HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{', resolve),
    )
    socket.resetAndDestroy()
    expect((await send('{}')).status).toBe(200)
  })

  test('behavior: other routes', async () => {
    const get = async (path: string) => {
      const response = await fetch(container.url + path)
      return [response.status, await response.json()]
    }
    expect(await get('/')).toEqual([200, { message: 'hello, world!' }])
    expect(await get('/health')).toEqual([200, { status: 'healthy' }])
    expect(await get('/service-resources')).toMatchObject([200, { service_id: 'hello-world' }])
    expect(await get('/service-resources?model_id=x')).toMatchObject([200, { supported: false }])
    expect(await get('//')).toMatchObject([404, { code: '404' }])
  })
})
