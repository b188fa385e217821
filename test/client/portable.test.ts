import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { build } from 'esbuild'
import { convertV4MiniflareOptions, Miniflare } from 'miniflare'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { denoProgram } from '../../src/host/deno-command.ts'
import { startTestEdge, type TestEdge } from '../support/edge.ts'
import { policyOf, startTestRunner, type TestRunner } from '../support/runner.ts'
import { type FakeNode, startFakeNode } from './fake-node.ts'
import { serve } from './serve.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const client = fileURLToPath(new URL('../../src/client/client.ts', import.meta.url))

let edge: TestEdge
let runner: TestRunner
/** Takes subscriptions that are signed. */
let node: FakeNode
let bundle: string

beforeAll(async () => {
  edge = await startTestEdge()
  runner = await startTestRunner(edge, [policyOf('echo')])
  node = await startFakeNode(() => ({
    json: { id: 'd', status_url: '/d', job_id: null, chain_id: 1, subscription_id: null, interval: 1 },
  }))
  // `neutral` resolves no module of any platform: an import of one fails the build. viem has files for Node, which `workerd` leaves out,
  // as bundlers for Workers do.
  const { outputFiles } = await build({
    stdin: { contents: program(edge.url, node.url), resolveDir: root, loader: 'ts' },
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'neutral',
    conditions: ['workerd'],
    target: 'es2022',
  })
  bundle = outputFiles[0]!.text
})
afterAll(async () => {
  await edge[Symbol.asyncDispose]()
  await node[Symbol.asyncDispose]()
})

/** The request of the reference's own page (node 4.5), whose signature is known. */
const subscription = {
  owner: '0x5FbDB2315678afecb367f032d93F642f64180aa3',
  containers: ['hello-world'],
}
const terms = {
  nonce: 0,
  expiry: 4_000_000_000,
  chainId: 31_337,
  coordinator: '0x2E983A1Ba5e8b38AAAeC4B440B9dDcFBf72E15d1',
}
const mnemonic = 'test test test test test test test test test test test junk'
const signature =
  '"v":28,"r":65889417385093675483514529008005148195244649598130052620358945592247573155127,"s":16018341389967729144927587724194533901951834912209301449609113421241962407810}'

/** A Worker that asks for a job and answers what came of it, and that signs a subscription. */
const program = (url: string, node: string) => `
  import { mnemonicToAccount } from 'viem/accounts'
  import { createClient } from ${JSON.stringify(client)}
  async function ask() {
    const client = createClient({ url: ${JSON.stringify(url)} })
    const { id } = await client.createJob({ containers: ['echo'], dataJson: '{"n":1.0}' })
    const { state } = await client.waitForJob(id, { timeoutMs: 10_000 })
    const refusal = await client.createJob({ containers: ['nope'], data: {} }).catch(error => error.code)
    const signer = mnemonicToAccount(${JSON.stringify(mnemonic)}, { addressIndex: 3 })
    const asked = { ...${JSON.stringify({ subscription, ...terms })}, signer, data: {} }
    const signed = await createClient({ url: ${JSON.stringify(node)} }).createDelegatedSubscription(asked)
    return [state, await client.getOutputText(id), refusal, signed.id]
  }
  export default { fetch: async () => Response.json(await ask()) }`

const answer = ['success', '{"n":1.0}', 'unsupported_container', 'd']

test('default: the client runs on Workers, which have nothing but web standards', async () => {
  await using _ = serve(runner)
  const worker = new Miniflare(
    convertV4MiniflareOptions({
      modules: [{ type: 'ESModule', path: 'index.js', contents: bundle }],
      compatibilityDate: '2026-08-01',
    }),
  )
  const response = await worker.dispatchFetch('http://worker/')
  expect(await response.json()).toEqual(answer)
  expect(node.asked.at(-1)?.body).toContain(signature)
  await worker.dispose()
})

test('default: the client runs on Deno, with leave to use the network alone', async () => {
  await using _ = serve(runner)
  const folder = await mkdtemp(join(tmpdir(), 'infernet-deno-'))
  const file = join(folder, 'client.mjs')
  await writeFile(file, `${bundle}\nconsole.log(JSON.stringify(await ask()))\n`)
  const args = ['run', '--quiet', '--no-prompt', '--no-lock', '--no-config', '--allow-net=127.0.0.1', file]
  const { stdout } = await promisify(execFile)(denoProgram(), args)
  expect(JSON.parse(stdout)).toEqual(answer)
  expect(node.asked.at(-1)?.body).toContain(signature)
  await rm(folder, { recursive: true })
})
