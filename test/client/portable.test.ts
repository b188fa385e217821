import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { convertV4MiniflareOptions, Miniflare } from 'miniflare'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startTestEdge, type TestEdge } from '../support/edge.ts'
import { policyOf, startTestRunner, type TestRunner } from '../support/runner.ts'
import { serve } from './serve.ts'

const client = fileURLToPath(new URL('../../src/client/client.ts', import.meta.url))

let edge: TestEdge
let runner: TestRunner
let bundle: string

beforeAll(async () => {
  edge = await startTestEdge()
  runner = await startTestRunner(edge, [policyOf('echo')])
  // `neutral` resolves no module of any platform: an import of one fails the build.
  const { outputFiles } = await build({
    stdin: { contents: program(edge.url), resolveDir: '/', loader: 'ts' },
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'neutral',
    target: 'es2022',
  })
  bundle = outputFiles[0]!.text
})
afterAll(async () => await edge[Symbol.asyncDispose]())

/** A Worker that asks for a job and answers what came of it. */
const program = (url: string) => `
  import { createClient } from ${JSON.stringify(client)}
  async function ask() {
    const client = createClient({ url: ${JSON.stringify(url)} })
    const { id } = await client.createJob({ containers: ['echo'], dataJson: '{"n":1.0}' })
    const { state } = await client.waitForJob(id, { timeoutMs: 10_000 })
    const refusal = await client.createJob({ containers: ['nope'], data: {} }).catch(error => error.code)
    return [state, await client.getOutputText(id), refusal]
  }
  export default { fetch: async () => Response.json(await ask()) }`

test('default: the client runs on Workers, which have nothing but web standards', async () => {
  await using _ = serve(runner)
  const worker = new Miniflare(
    convertV4MiniflareOptions({
      modules: [{ type: 'ESModule', path: 'index.js', contents: bundle }],
      compatibilityDate: '2026-08-01',
    }),
  )
  const response = await worker.dispatchFetch('http://worker/')
  expect(await response.json()).toEqual(['success', '{"n":1.0}', 'unsupported_container'])
  await worker.dispose()
})
