import { join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { runDemo } from './demo.ts'
import { runChainDemo } from './demo-chain.ts'
import { streamDemo } from './demo-chat.ts'
import { payDemo } from './demo-paid.ts'
import { runProofDemo } from './demo-proof.ts'
import { openHome } from './home.ts'
import { startStack } from './stack.ts'
import { createSteps } from './steps.ts'

const usage = `npm start -- [options]
  --once          exit after the demo: 0 when it worked
  --port N        port of the edge (default 4000, or a free one when it is taken)
  --docker off    run the example containers as plain processes
  --home FOLDER   where database, keys and spool are kept (default .local)
  --verbose       print what the runner logs`

const root = fileURLToPath(new URL('../../', import.meta.url))

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      once: { type: 'boolean', default: false },
      port: { type: 'string' },
      docker: { type: 'string', default: 'auto' },
      home: { type: 'string', default: join(root, '.local') },
      verbose: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return console.log(usage)
  const port = Number(values.port ?? 4000)
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    throw new Error('--port takes a number from 1 to 65535')
  if (values.docker !== 'auto' && values.docker !== 'off') throw new Error('--docker takes auto or off')

  const steps = createSteps(line => console.log(line))
  const tail: string[] = []
  const log = (line: string) => {
    tail.push(line)
    if (tail.length > 20) tail.shift()
    if (values.verbose) steps.note(line)
  }
  const stack = await startStack({
    home: openHome(values.home),
    steps,
    port,
    portRequired: values.port !== undefined,
    docker: values.docker,
    log,
  }).catch(error => {
    if (!values.verbose) for (const line of tail) steps.note(line)
    throw error
  })
  try {
    await runDemo({ url: stack.edge.url, steps })
    await streamDemo({ url: stack.edge.url, steps })
    if (stack.chain) {
      await runChainDemo({ chain: stack.chain, url: stack.edge.url, steps })
      await payDemo({ chain: stack.chain, url: stack.edge.url, steps })
      await runProofDemo({ chain: stack.chain, url: stack.edge.url, steps })
    }
    if (values.once) return
    console.log(next(stack.edge.url, shown(values.home)))
    await Promise.race([
      untilSignal(),
      stack.runner.ended.then(code => Promise.reject(new Error(`The runner ended with code ${code}.`))),
    ])
    console.log('\nStopping…')
  } finally {
    await stack.close()
  }
}

/** A path to copy: relative below the current folder, absolute elsewhere. */
function shown(path: string): string {
  const below = relative(process.cwd(), path)
  return below.startsWith('..') ? resolve(path) : below
}

function next(url: string, home: string): string {
  return `
Everything runs. Try:

  ID=$(curl -s ${url}/api/jobs -d '{"containers":["hello-world"],"data":{"name":"you"}}' | cut -d'"' -f4)
  curl -s "${url}/api/jobs?id=$ID"
  curl -sN ${url}/api/jobs/stream -d '{"containers":["chat"],"data":{"prompt":"Why is the sky blue?"}}'

  ${url}/info           what this node offers
  ${url}/openapi.json   the whole HTTP API
  ${home}/config.json             the runner's configuration, written anew at each start

Ctrl-C stops it.`
}

/** npm passes on the Ctrl-C that the terminal has already sent to everyone: no second one. */
const echoMs = 1_000

/** Until the first signal. A second one does not wait for anything: what was started ends with this process. */
function untilSignal(): Promise<void> {
  return new Promise(done => {
    let first: number | undefined
    const onSignal = () => {
      first ??= performance.now()
      done()
      if (performance.now() - first > echoMs) process.exit(130)
    }
    process.on('SIGINT', onSignal)
    process.on('SIGTERM', onSignal)
  })
}

await main().catch(error => {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
})
