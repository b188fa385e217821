import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { convertV4MiniflareOptions, Miniflare } from 'miniflare'
import { expect, onTestFinished, test } from 'vitest'

const bell = fileURLToPath(new URL('../../src/edge/bell', import.meta.url))

/** A Worker whose client waits four times on a bell, leaves during the last wait, and is told how often its leaving was passed on. */
const source = `
import { createRemoteBells } from ${JSON.stringify(`${bell}/remote.ts`)}
export { Bell } from ${JSON.stringify(`${bell}/object.ts`)}
export default {
  async fetch(request, env) {
    let leaves = 0
    const namespace = {
      idFromName: name => env.BELL.idFromName(name),
      get(id) {
        const bell = env.BELL.get(id)
        return {
          ticket: () => bell.ticket(),
          wait: wait => bell.wait(wait),
          leave(id) {
            leaves += 1
            return bell.leave(id)
          },
        }
      },
    }
    const bell = createRemoteBells(namespace)('claims')
    const client = new AbortController()
    const ticket = await bell.ticket()
    const wait = waitMs => bell.wait({ ticket, key: 'client', waitMs }, client.signal)
    for (let i = 0; i < 3; i += 1) await wait(1)
    const last = wait(20_000).then(() => 'over')
    client.abort()
    const late = new Promise(resolve => setTimeout(resolve, 10_000, 'late'))
    return Response.json({ leaves, last: await Promise.race([last, late]) })
  },
}`

test('behavior: a client that leaves ends its last wait, and those that had ended are not spoken of', async () => {
  const { outputFiles } = await build({
    stdin: { contents: source, resolveDir: '/', loader: 'ts' },
    bundle: true,
    write: false,
    format: 'esm',
    external: ['cloudflare:workers'],
  })
  const worker = new Miniflare(
    convertV4MiniflareOptions({
      modules: [{ type: 'ESModule', path: 'index.js', contents: outputFiles[0]?.text ?? '' }],
      compatibilityDate: '2026-08-01',
      durableObjects: { BELL: 'Bell' },
    }),
  )
  onTestFinished(async () => await worker.dispose())
  const response = await worker.dispatchFetch('http://worker/')
  expect(await response.json()).toEqual({ leaves: 1, last: 'over' })
})
