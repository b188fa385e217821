import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { type Address, zeroAddress } from 'viem'
import type { ChainInfo } from '../../src/protocol/chain.ts'
import type { Info } from '../../src/protocol/node.ts'

export type FakeNode = {
  url: string
  /** Bodies of requests so far, as text, by `METHOD path`. */
  asked: { request: string; body: string }[]
  [Symbol.asyncDispose](): Promise<void>
}

/** A node that says what a test has it say; status and JSON. */
export async function startFakeNode(
  answer: (request: string, body: string) => { status?: number; json: unknown },
): Promise<FakeNode> {
  const asked: FakeNode['asked'] = []
  const server = createServer(async (incoming, response) => {
    const request = `${incoming.method} ${incoming.url}`
    const body = (await buffer(incoming)).toString()
    asked.push({ request, body })
    const { status = 200, json } = answer(request, body)
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(json))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    },
  }
}

type Served = { id: number; coordinator: Address | null }

/** `GET /info` of a node that serves chains. */
export function infoOf(...chains: Served[]): Info {
  return {
    version: '1',
    containers: [],
    pending: { offchain: 0, onchain: 0 },
    chain: { enabled: chains.length > 0, address: '' },
    chains: chains.map(reportOf),
  }
}

function reportOf({ id, coordinator }: Served): ChainInfo {
  return {
    id,
    registry: zeroAddress,
    coordinator: coordinator?.toLowerCase() ?? null,
    problem: coordinator ? null : 'It does not answer',
    head: 1,
    block: 1,
    subscriptions: 0,
    payment_address: zeroAddress,
    payment_wallet: null,
    signer: { address: zeroAddress, balance: '0', blocked: null },
    pending: { computed: 0, sending: 0, left: 0, mined: 0 },
    proofs: { pending: 0, at_stake: [] },
    endpoints: [],
  }
}
