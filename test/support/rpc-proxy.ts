import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { toFunctionSelector, toHex } from 'viem'
import type { RpcAnswer, RpcCall } from '../../src/edge/chain/rpc.ts'
import { eip712CoordinatorAbi } from '../../src/protocol/abi/eip712-coordinator.ts'
import { readerAbi } from '../../src/protocol/abi/reader.ts'
import { walletAbi } from '../../src/protocol/abi/wallet.ts'

/** What becomes of one HTTP request in place of its answer. */
export type Fault =
  /** 429; `retryAfter`: the header as it is sent. */
  | { kind: 'rate'; retryAfter?: string }
  /** An HTTP status, with a page for people. */
  | { kind: 'status'; status: number }
  /** Each call is answered with this error. */
  | { kind: 'error'; code: number; message: string }
  /** As a node that is so many blocks behind would answer. */
  | { kind: 'stale'; blocks: number }
  /** What is asked of a block's state is answered of this one. */
  | { kind: 'older'; block: number }
  /** As a node of another chain would tell its id. */
  | { kind: 'chain'; id: number }
  /** Silent until the client gives up. */
  | { kind: 'hang' }
  /** The connection breaks: before the answer, or in the middle of it. */
  | { kind: 'reset' }
  | { kind: 'broken' }
  /** A whole response with half of the JSON in it. */
  | { kind: 'cut' }
  /** The answers of a batch without the last one, with one twice, with wrong ids, last first (which is no fault), or one in place of all. */
  | { kind: 'missing' }
  | { kind: 'twice' }
  | { kind: 'ids' }
  | { kind: 'reordered' }
  | { kind: 'object' }
  /** An answer with no result and no error in it. */
  | { kind: 'empty' }
  /** 17 MiB. */
  | { kind: 'huge' }

/** `number`: from 0, of the requests to this proxy. */
export type RpcRequest = { calls: RpcCall[]; number: number }

export type RpcProxyOptions = {
  /** Null: it is answered as it should be. */
  fault?(request: RpcRequest): Fault | null
  /** The contracts are those of the first deployments: without what `lateNames` has. */
  firstDeployment?: boolean
  /** What a call is answered in place of what the chain says; null: that. */
  override?(call: RpcCall): RpcAnswer | null
}

/** What stands behind: a node's URL, or what answers in its place. */
export type RpcTarget = string | ((call: RpcCall) => RpcAnswer)

/** A chain's node that goes wrong as it is told. */
export type RpcProxy = {
  url: string
  /** Those that came since this was last asked. */
  takeRequests(): RpcRequest[]
  setFault(fault: RpcProxyOptions['fault']): void
  setOverride(override: RpcProxyOptions['override']): void
  close(): Promise<void>
}

type Wire = RpcCall & { id: number }

export async function startRpcProxy(target: RpcTarget, options: RpcProxyOptions = {}): Promise<RpcProxy> {
  let { fault, override } = options
  let requests: RpcRequest[] = []
  let number = 0
  const isLate = ({ params }: RpcCall) =>
    options.firstDeployment === true && lateCalls.test(JSON.stringify(params))
  const overridden = (call: RpcCall) => (isLate(call) ? reverted : (override?.(call) ?? null))
  const answer = async (calls: readonly RpcCall[]) => {
    const answers = await forward(target, calls)
    return answers.map((told, index) => overridden(calls[index]!) ?? told)
  }

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = JSON.parse(await readAll(request)) as Wire | Wire[]
    const wire = [body].flat()
    const calls = wire.map(({ method, params }) => ({ method, params }))
    const told = { calls, number: number++ }
    requests.push(told)
    const trouble = fault?.(told) ?? null
    if (trouble !== null && refuse(trouble, { request, response })) return
    const answers = await spoiled(calls, { trouble, answer })
    const items = wire.map(({ id }, index) => ({ jsonrpc: '2.0', id, ...answers[index] }))
    send(Array.isArray(body) ? reshape(items, trouble) : items[0], { trouble, response })
  }

  const server = createServer((request, response) => {
    handle(request, response).catch(() => request.socket.destroy())
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    takeRequests() {
      const taken = requests
      requests = []
      return taken
    },
    setFault(other) {
      fault = other
    },
    setOverride(other) {
      override = other
    },
    async close() {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    },
  }
}

/** Faults of a share of the requests, the same ones for the same seed. */
export function someFaults({ share, kinds, seed }: { share: number; kinds: readonly Fault[]; seed: number }) {
  let state = seed
  const random = () => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) >>> 0
    return (Math.imul(state ^ (state >>> 13), 0x297a2d39) >>> 0) / 2 ** 32
  }
  return (): Fault | null => (random() < share ? (kinds[Math.floor(random() * kinds.length)] ?? null) : null)
}

/** What goes wrong with nodes day by day. */
export const usualFaults: readonly Fault[] = [
  { kind: 'rate' },
  { kind: 'hang' },
  { kind: 'cut' },
  { kind: 'stale', blocks: 2 },
  { kind: 'chain', id: 5 },
]

const reverted: RpcAnswer = { error: { code: 3, message: 'execution reverted', data: '0x' } }
const lateNames = [
  'readStatusBatch',
  'deliverComputeBatch',
  'deliverComputeBounded',
  'getTerms',
  'unlockedBalance',
]
const lateCalls = new RegExp(
  [...readerAbi, ...eip712CoordinatorAbi, ...walletAbi]
    .filter(item => item.type === 'function')
    .filter(({ name }) => lateNames.includes(name))
    .map(item => `"${toFunctionSelector(item)}`)
    .join('|'),
)

async function forward(target: RpcTarget, calls: readonly RpcCall[]): Promise<RpcAnswer[]> {
  if (typeof target !== 'string') return calls.map(target)
  const body = calls.map((call, id) => ({ jsonrpc: '2.0', id, ...call }))
  const headers = { 'content-type': 'application/json' }
  const response = await fetch(target, { method: 'POST', headers, body: JSON.stringify(body) })
  const answers = (await response.json()) as (RpcAnswer & { id: number })[]
  return answers
    .toSorted((a, b) => a.id - b.id)
    .map(({ result, error }) => (error ? { error } : { result: result ?? null }))
}

/** Whether that was all of the answer. */
function refuse(
  fault: Fault,
  { request, response }: { request: IncomingMessage; response: ServerResponse },
): boolean {
  if (fault.kind === 'reset') request.socket.destroy()
  else if (fault.kind === 'rate')
    response.writeHead(429, fault.retryAfter === undefined ? {} : { 'retry-after': fault.retryAfter }).end()
  else if (fault.kind === 'status') response.writeHead(fault.status).end('<html>Sorry</html>')
  else if (fault.kind === 'huge') {
    response.writeHead(200)
    for (let mib = 0; mib < 17; mib += 1) response.write(' '.repeat(1024 * 1024))
    response.end('[]')
  } else return fault.kind === 'hang'
  return true
}

type Spoiling = { trouble: Fault | null; answer(calls: readonly RpcCall[]): Promise<RpcAnswer[]> }

async function spoiled(calls: readonly RpcCall[], { trouble, answer }: Spoiling): Promise<RpcAnswer[]> {
  if (trouble?.kind === 'error')
    return calls.map(() => ({ error: { code: trouble.code, message: trouble.message } }))
  if (trouble?.kind === 'stale') return await staleAnswers(calls, { blocks: trouble.blocks, answer })
  if (trouble?.kind === 'older') return await answer(calls.map(call => askedOf(call, trouble.block)))
  const answers = await answer(calls)
  if (trouble?.kind !== 'chain') return answers
  return answers.map((told, index) =>
    calls[index]?.method === 'eth_chainId' ? { result: toHex(trouble.id) } : told,
  )
}

const stateMethods = ['eth_call', 'eth_estimateGas', 'eth_getBalance', 'eth_getTransactionCount']

function askedOf(call: RpcCall, block: number): RpcCall {
  const { method, params } = call
  return stateMethods.includes(method) ? { method, params: [params[0], toHex(block)] } : call
}

/** What is asked of the newest block is answered of an older one, and what came after that is not known. */
async function staleAnswers(
  calls: readonly RpcCall[],
  { blocks, answer }: { blocks: number; answer: Spoiling['answer'] },
): Promise<RpcAnswer[]> {
  const [newest] = await answer([{ method: 'eth_blockNumber', params: [] }])
  const head = Math.max(0, Number(newest?.result) - blocks)
  const older = calls.map(({ method, params }) => ({
    method,
    params: params.map(param => (param === 'latest' || param === 'pending' ? toHex(head) : param)),
  }))
  const answers = await answer(older)
  return answers.map((told, index) => {
    const { method, params } = older[index]!
    if (method === 'eth_blockNumber') return { result: toHex(head) }
    if (isBeyond(method === 'eth_getTransactionReceipt' ? Object(told.result).blockNumber : undefined, head))
      return { result: null }
    if (method === 'eth_getBlockByNumber') return isBeyond(params[0], head) ? { result: null } : told
    return isBeyond(params[1], head) ? { error: { code: -32_000, message: 'header not found' } } : told
  })
}

function isBeyond(block: unknown, head: number): boolean {
  return typeof block === 'string' && /^0x[0-9a-f]{1,12}$/i.test(block) && Number(block) > head
}

function reshape(items: readonly object[], fault: Fault | null): unknown {
  if (fault?.kind === 'missing') return items.slice(0, -1)
  if (fault?.kind === 'twice') return [...items.slice(0, -1), items[0]]
  if (fault?.kind === 'ids') return items.map((item, index) => ({ ...item, id: index + 1_000_000 }))
  if (fault?.kind === 'reordered') return items.toReversed()
  return fault?.kind === 'object' ? items[0] : items
}

function send(
  answer: unknown,
  { trouble, response }: { trouble: Fault | null; response: ServerResponse },
): void {
  const empty = trouble?.kind === 'empty' ? [answer].flat().map(() => ({ id: 1 })) : answer
  const text = JSON.stringify(empty)
  const half = text.slice(0, text.length / 2)
  response.setHeader('content-type', 'application/json')
  if (trouble?.kind === 'broken') {
    response.writeHead(200, { 'content-length': text.length })
    response.write(half, () => response.destroy())
  } else response.end(trouble?.kind === 'cut' ? half : text)
}

async function readAll(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString()
}
