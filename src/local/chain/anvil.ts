import { createRequire } from 'node:module'
import { createInterface } from 'node:readline'
import { startChild } from '../child.ts'

/** A chain of its own on this machine, with well-known accounts that are rich. It forgets everything when it ends. */
export type Anvil = { rpcUrl: string; close(): Promise<void> }

const readyMs = 60_000

export type AnvilOptions = {
  /** 0: a free one. */
  port?: number
  /** Absent: 31337. */
  chainId?: number
  /** Seconds after which a block is mined, whether there are transactions or not; absent: none is mined for nothing. */
  blockTime?: number
  /** Whether a transaction is mined at once all the same; default: unless there is a `blockTime`. */
  automine?: boolean
  /** Gas of a block; absent: 30,000,000. */
  blockGas?: number
}

export async function startAnvil({
  port = 0,
  chainId = 31_337,
  blockTime,
  automine = blockTime === undefined,
  blockGas = 30_000_000,
}: AnvilOptions = {}): Promise<Anvil> {
  const mining =
    blockTime === undefined
      ? automine
        ? []
        : ['--no-mining']
      : ['--block-time', String(blockTime), ...(automine ? ['--mixed-mining'] : [])]
  const child = startChild({
    command: binary(),
    args: [
      ...['--host', '127.0.0.1', '--port', String(port)],
      ...['--chain-id', String(chainId), '--gas-limit', String(blockGas)],
      ...mining,
    ],
    stdio: ['ignore', 'pipe', 'inherit'],
    orphanGraceSeconds: 0,
  })
  const close = () => child.close(2_000)
  try {
    return { rpcUrl: await listening(child), close }
  } catch (error) {
    await close()
    throw error
  }
}

async function listening({ process, ended }: ReturnType<typeof startChild>): Promise<string> {
  if (!process.stdout) throw new Error('anvil has no output')
  const lines = createInterface(process.stdout)
  const address = new Promise<string>(resolve => {
    // What follows is read too: a full pipe would stop it.
    lines.on('line', line => {
      const found = /^Listening on (\S+)$/.exec(line)
      if (found?.[1]) resolve(`http://${found[1]}`)
    })
  })
  const died = ended.then(({ code }) => {
    throw new Error(`anvil ended with code ${code}`)
  })
  const late = AbortSignal.timeout(readyMs)
  const tooLate = new Promise<never>((_, reject) =>
    late.addEventListener('abort', () => reject(new Error('anvil did not start in time'))),
  )
  return await Promise.race([address, died, tooLate])
}

/** The command that npm links is a script around the binary: a signal for the one does not reach the other. */
function binary(): string {
  const architecture = process.arch === 'x64' ? 'amd64' : process.arch
  return createRequire(import.meta.url).resolve(
    `@foundry-rs/anvil-${process.platform}-${architecture}/bin/anvil`,
  )
}
