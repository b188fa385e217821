import { readFile } from 'node:fs/promises'
import { deflateSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ocr } from '../../src/local/containers/examples.ts'
import { installPackages } from '../../src/local/containers/packages.ts'
import { type ContainerProcess, startProcess } from '../../src/local/containers/process.ts'

type Answer = { text: string; lines: { text: string; confidence: number; box: [number, number][] }[] }

let container: ContainerProcess
let sample: string
const output: string[] = []
beforeAll(async () => {
  await installPackages(ocr, console.log)
  container = await startProcess(ocr, line => output.push(line))
  sample = (await readFile(`${ocr.folder}/sample.png`)).toString('base64')
}, 180_000)
afterAll(() => container?.close())

async function post(body: unknown): Promise<{ status: number; body: unknown }> {
  const response = await fetch(`${container.url}/service_output`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })
  return { status: response.status, body: await response.json() }
}

function read(image: unknown): Promise<{ status: number; body: unknown }> {
  return post({ source: 1, destination: 1, data: { image }, requires_proof: false })
}

/** A grey PNG of any size, with a valid header and few bytes. */
function greyPng(width: number, height: number): string {
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width, 0)
  header.writeUInt32BE(height, 4)
  header.writeUInt8(8, 8)
  const rows = Buffer.alloc(Math.min((width + 1) * height, 1_000_000))
  const chunks = [chunk('IHDR', header), chunk('IDAT', deflateSync(rows)), chunk('IEND', Buffer.alloc(0))]
  return Buffer.concat([Buffer.from('89504e470d0a1a0a', 'hex'), ...chunks]).toString('base64')
}

function chunk(type: string, data: Buffer): Buffer {
  const typed = Buffer.concat([Buffer.from(type), data])
  const frame = Buffer.alloc(8)
  frame.writeUInt32BE(data.length, 0)
  frame.writeUInt32BE(crc32(typed), 4)
  return Buffer.concat([frame.subarray(0, 4), typed, frame.subarray(4)])
}

function crc32(data: Buffer): number {
  let crc = 0xffffffff
  for (const byte of data) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1
  }
  return ~crc >>> 0
}

describe('reading', () => {
  test('default', async () => {
    const { status, body } = await read(sample)
    expect(status).toBe(200)
    expect(body).toMatchObject({ width: 900, height: 300, ms: expect.any(Number) })
    const { text, lines } = body as Answer
    expect(text.split('\n')).toEqual(lines.map(line => line.text))
    for (const word of 'Northwind Bakery Supply Number 4725 Wheat Flour kg 384.75 Payment due March 23'.split(
      ' ',
    )) {
      expect(text).toContain(word)
    }
  })

  test('behavior: boxes lie around their lines', async () => {
    const { lines } = (await read(sample)).body as Answer
    const line = lines.find(({ text }) => text.includes('4725'))
    expect(line?.confidence).toBeGreaterThan(0.8)
    expect(line?.confidence).toBeLessThanOrEqual(1)
    const [leftTop, , rightBottom] = line?.box ?? []
    expect([leftTop, rightBottom].map(point => point?.map(value => Math.round(value / 20) * 20))).toEqual([
      [40, 100],
      [260, 120],
    ])
  })

  test('behavior: accepts a data: URL', async () => {
    const { body } = await read(`data:image/png;base64,${sample}`)
    expect((body as Answer).text).toContain('Bakery')
  })

  test('behavior: a picture without text gives no lines', async () => {
    const { status, body } = await read(greyPng(40, 3))
    expect(status).toBe(200)
    expect(body).toMatchObject({ text: '', lines: [], width: 40, height: 3 })
  })

  test('behavior: several at once are all answered', async () => {
    const answers = await Promise.all([1, 2, 3].map(() => read(sample)))
    expect(answers.map(({ body }) => (body as Answer).text.includes('Northwind'))).toEqual([true, true, true])
  })
})

describe('refusals', () => {
  const cases: [string, unknown, number, string][] = [
    ['no image', undefined, 400, 'missing'],
    ['an image that is no text', 7, 400, 'missing'],
    ['not base64', 'not/base64!', 400, 'not base64'],
    ['not a picture', Buffer.from('hello').toString('base64'), 422, 'neither a PNG nor a JPEG'],
    ['an SVG', Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>').toString('base64'), 422, 'neither'],
    ['a damaged picture', Buffer.from('89504e470d0a1a0a0000', 'hex').toString('base64'), 422, 'header'],
    ['a picture that ends too soon', greyPng(3000, 3000), 422, 'damaged'],
    ['more pixels than allowed', greyPng(50_000, 50_000), 413, 'pixels'],
  ]
  test.each(cases)('behavior: %s', async (_name, image, status, description) => {
    const answer = await read(image)
    expect(answer.status).toBe(status)
    expect(answer.body).toEqual({
      code: String(status),
      name: expect.any(String),
      description: expect.stringContaining(description),
    })
  })

  test('behavior: body not JSON', async () => {
    expect(await post('{')).toMatchObject({ status: 400, body: { code: '400', name: 'Bad Request' } })
  })

  test('behavior: data not an object', async () => {
    expect(await post({ data: 'x' })).toMatchObject({ status: 400 })
  })

  test('behavior: on-chain input', async () => {
    expect(await post({ source: 0, destination: 0, data: 'c0ffee' })).toMatchObject({
      status: 400,
      body: { description: expect.stringContaining('on-chain') },
    })
  })

  test('behavior: proofs', async () => {
    expect(await post({ data: { image: sample }, requires_proof: true })).toMatchObject({ status: 400 })
  })

  test('behavior: body above 16 MiB', async () => {
    expect(await read('A'.repeat(16 * 1024 * 1024))).toMatchObject({ status: 413 })
  })

  test('behavior: more pictures at once than may wait', async () => {
    const crowded = await Promise.all(Array.from({ length: 30 }, () => read(greyPng(32, 32))))
    const statuses = crowded.map(({ status }) => status)
    expect(statuses.filter(status => status === 200).length).toBeGreaterThanOrEqual(17)
    expect(statuses.filter(status => status === 503).length).toBeGreaterThan(0)
  })
})

describe('telemetry', () => {
  test('behavior: the model says nothing of its own', async () => {
    await read(sample)
    expect(output).toEqual([expect.stringMatching(/^ocr: listening on \d+$/), 'ocr: model loaded'])
  })
})

describe('other routes', () => {
  test('default', async () => {
    const get = async (path: string) => {
      const response = await fetch(container.url + path)
      return [response.status, await response.json()]
    }
    expect(await get('/health')).toEqual([200, { status: 'healthy' }])
    expect(await get('/service-resources')).toMatchObject([
      200,
      { version: '0.1.0', compute_capability: [{ id: 'ml' }] },
    ])
    expect(await get('/service-resources?model_id=other')).toMatchObject([200, { supported: false }])
    expect(await get('/none')).toMatchObject([404, { code: '404' }])
    expect(await get('/service_output')).toMatchObject([405, { code: '405' }])
  })
})
