import type { Address } from 'viem'
import type { ChainReport } from '../protocol/chain.ts'
import { DelegatedCreated, parseDelegated } from '../protocol/delegated.ts'
import type { Domain } from '../protocol/typed-data.ts'
import { badAnswer, parse, textOf } from './answer.ts'
import { type Input, toBody, withInput } from './body.ts'
import { InfernetError, invalid } from './error.ts'
import { info } from './node.ts'
import type { NewSubscription, SignedSubscription } from './sign.ts'
import type { Signer } from './signer.ts'
import type { CallOptions, Transport } from './transport.ts'

/**
 * A subscription to sign on the way. Without `chainId` and `coordinator` the node is believed about them: for a node that is not yours,
 * name them, since a signature is good for the chain that it names.
 */
export type ToSign = {
  subscription: NewSubscription
  signer: Signer
  nonce: number
  expiry: number
  chainId?: number | undefined
  coordinator?: Address | undefined
  /** Signs for the input as well: without, whoever has the signature can send the node another one first. */
  signData?: boolean | undefined
}

/** What `signDelegatedSubscription` gave, or what is to be signed; and the input of the first container, for every interval. */
export type NewDelegated = (SignedSubscription | ToSign) & Input

/**
 * Has a node serve a subscription that is signed off-chain: nobody sends a transaction to ask, since the first answer brings the signature
 * along. Sending it again does nothing more.
 * @throws InfernetError `invalid_request` naming each field that is wrong, `not_signed`, and what the node refuses with; `bad_answer` from a node
 * of the reference, which takes it on and tells nothing of it.
 */
export async function createDelegatedSubscription(
  transport: Transport,
  request: NewDelegated,
  { signal }: CallOptions = {},
): Promise<DelegatedCreated> {
  const signed = 'signer' in request ? await sign(transport, request, { signal }) : request
  const post = {
    method: 'POST',
    body: toBody(toDelegatedText(signed, request)),
    repeatable: true,
    signal,
  } as const
  const answer = await transport
    .send({ ...post, path: '/api/subscriptions' })
    .catch(async (error: unknown) => {
      if (!lacksRoute(error)) throw error
      return await transport.send({ ...post, path: '/api/jobs' })
    })
  if (textOf(answer).trim() === '{}')
    throw badAnswer(answer, 'the subscription is taken on, but what becomes of it is not told')
  return parse(DelegatedCreated, answer)
}

/** The reference's nodes have one route for all. */
function lacksRoute(error: unknown): boolean {
  return error instanceof InfernetError && (error.status === 404 || error.status === 405)
}

/** The JSON text of a body, with `r`, `s` and the amount as integers: the reference takes them in no other form. */
export function toDelegatedText(signed: SignedSubscription, input: Input): string {
  const { request, problems } = parseDelegated(signed)
  if (!request) throw invalid(`Invalid subscription: ${problems.join('; ')}`)
  const { nonce, expiry, v, r, s } = request.signature
  const signature = { nonce, expiry, v, r: BigInt(r), s: BigInt(s) }
  const chain = request.chain_id === null ? '' : `,"chain_id":${request.chain_id}`
  const forData = request.data_signature === null ? '' : `,"data_signature":"${request.data_signature}"`
  const fields = `{"subscription":${objectText(request.subscription)},"signature":${objectText(signature)}${chain}${forData}}`
  return withInput(fields, input)
}

function objectText(fields: Record<string, string | number | bigint | boolean>): string {
  const members = Object.entries(fields).map(
    ([key, value]) => `"${key}":${typeof value === 'bigint' ? value : JSON.stringify(value)}`,
  )
  return `{${members.join(',')}}`
}

async function sign(
  transport: Transport,
  { subscription, signer, nonce, expiry, signData = false, ...request }: ToSign & Input,
  options: CallOptions,
): Promise<SignedSubscription> {
  const domain = await domainOf(transport, request, options)
  // Loaded here: hashing and curves take Node 70 ms to load, which those who sign nothing would wait for.
  const { signDelegatedSubscription } = await import('./sign.ts')
  return await signDelegatedSubscription(signer, {
    ...{ subscription, nonce, expiry, ...domain },
    signData: signData ? request : undefined,
  })
}

type Named = { chainId?: number | undefined; coordinator?: Address | undefined }

async function domainOf(
  transport: Transport,
  { chainId, coordinator }: Named,
  options: CallOptions,
): Promise<Domain> {
  if (chainId !== undefined && coordinator !== undefined) return { chainId, coordinator }
  const { chains } = await info(transport, options)
  return pickDomain(chains, { chainId, coordinator })
}

/**
 * A chain that a node serves and its coordinator, as far as they are not named.
 * @throws InfernetError `invalid_request` when there is none, or more than one to choose from.
 */
export function pickDomain(chains: readonly ChainReport[], { chainId, coordinator }: Named): Domain {
  const [chain, ...others] = chains.filter(({ id }) => chainId === undefined || id === chainId)
  if (!chain)
    throw invalid(
      chainId === undefined ? 'The node serves no chain' : `The node does not serve chain ${chainId}`,
    )
  if (others.length > 0) throw invalid(`The node serves ${chains.length} chains: say which`)
  const found = coordinator ?? chain.coordinator
  if (found === null)
    throw invalid(`The node knows no coordinator of chain ${chain.id}: ${chain.problem ?? 'name it'}`)
  return { chainId: chain.id, coordinator: found as Address }
}
