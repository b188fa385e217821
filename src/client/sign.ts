import * as v from 'valibot'
import type { Address, Hex } from 'viem'
import { isAddress } from 'viem/utils'
import { dataDigestOf, dataTypedDataOf, type SignedData } from '../protocol/data-signature.ts'
import { type DelegatedRequest, DelegatedSubscription, problemOf } from '../protocol/delegated.ts'
import { toDelegation } from '../protocol/delegation.ts'
import { Address as AddressField, ChainId, uint } from '../protocol/evm.ts'
import {
  joinSignature,
  recoverSigner,
  type Signature,
  splitSignature,
  toCanonical,
} from '../protocol/signature.ts'
import { type Domain, digestOf, typedDataOf } from '../protocol/typed-data.ts'
import { type Input, inputText } from './body.ts'
import { containersHash } from './containers-hash.ts'
import { InfernetError, invalid } from './error.ts'
import { addressOf, askToSign, type Signer } from './signer.ts'

type Fields = v.InferInput<typeof DelegatedSubscription>

/**
 * A subscription to sign. `containers`: their ids in order, or the hash of them. Left out: a callback (`period` 0, `frequency` 1) for one
 * answer (`redundancy`), active at once, unpaid, without proof. A recurring one says when it is `active_at`, in Unix seconds.
 */
export type NewSubscription = Pick<Fields, 'owner'> &
  Partial<Omit<Fields, 'owner' | 'containers'>> & { containers: readonly string[] | string }

/** `nonce`: of the owner, and used by no other subscription. `expiry`: Unix seconds of block time from which on it is void. */
export type SigningTerms = { nonce: number; expiry: number; chainId: number; coordinator: Address }

/** What can be sent with `createDelegatedSubscription`, now or later, by anyone. `data_signature`: only with the input that it is for. */
export type SignedSubscription = Pick<DelegatedRequest, 'subscription' | 'signature'> & {
  chain_id: number
  data_signature?: Hex
}

/** `signData`: an input that is signed for as well, so that no other can be sent in its place. */
export type SubscriptionToSign = SigningTerms & {
  subscription: NewSubscription
  signData?: Input | undefined
}

const zero: Address = `0x${'0'.repeat(40)}`
const usual = {
  period: 0,
  frequency: 1,
  redundancy: 1,
  lazy: false,
  verifier: zero,
  payment_amount: 0,
  payment_token: zero,
  wallet: zero,
}

const Terms = v.object({ nonce: uint(32), expiry: uint(32), chainId: ChainId, coordinator: AddressField })
const ToSign = v.object({ subscription: DelegatedSubscription, terms: Terms })

/**
 * Signs a subscription in the name of its owner, a consumer whose `getSigner` is this account, or a contract that accepts its signatures.
 * An account's signature is brought into the one form that the coordinator takes.
 * @throws InfernetError `invalid_request` naming each field that is wrong; `not_signed` when the wallet refuses, or gives no 65 bytes.
 */
export async function signDelegatedSubscription(
  signer: Signer,
  { subscription: asked, signData, ...terms }: SubscriptionToSign,
): Promise<SignedSubscription> {
  const address = addressOf(signer)
  const { subscription, nonce, expiry, ...domain } = parse(asked, terms)
  const delegation = toDelegation(subscription, { nonce, expiry })
  const given = await askToSign(signer, typedDataOf(domain, delegation))
  const signature = await formOf(given, { digest: digestOf(domain, delegation), address })
  const signed = { subscription, signature: { nonce, expiry, ...signature }, chain_id: domain.chainId }
  if (signData === undefined) return signed
  const request = { owner: delegation.sub.owner, nonce, data: betweenBraces(inputText(signData)) }
  return { ...signed, data_signature: await signForData(signer, domain, request) }
}

async function signForData(signer: Signer, domain: Domain, request: SignedData): Promise<Hex> {
  const given = await askToSign(signer, dataTypedDataOf(domain, request))
  const digest = dataDigestOf(domain, request)
  return joinSignature(await formOf(given, { digest, address: addressOf(signer) }))
}

/** Space around it is not the input's. */
function betweenBraces(json: string): string {
  return json.replace(/^[ \t\r\n]+|[ \t\r\n]+$/g, '')
}

function parse(asked: NewSubscription, terms: SigningTerms) {
  const { containers } = asked
  const isRecurring = asked.period !== undefined && Number(asked.period) !== 0
  const subscription = {
    ...usual,
    ...(isRecurring ? {} : { active_at: 0 }),
    ...asked,
    containers: typeof containers === 'string' ? containers : containersHash(containers),
  }
  const parsed = v.safeParse(ToSign, { subscription, terms })
  const problems = [...(parsed.issues ?? []).map(problemOf), ...misspelt({ subscription, terms })]
  if (parsed.success && problems.length === 0)
    return { subscription: parsed.output.subscription, ...parsed.output.terms }
  throw invalid(`Invalid subscription: ${problems.join('; ')}`)
}

/** An address with a checksum that is wrong has a typing mistake, and nobody has its key. */
function misspelt({ subscription, terms }: { subscription: object; terms: object }): string[] {
  return Object.entries({ ...prefixed('subscription', subscription), ...prefixed('terms', terms) })
    .filter(([, value]) => typeof value === 'string' && /^0x[0-9a-f]{40}$/i.test(value) && !isAddress(value))
    .map(([field]) => `${field}: has a wrong checksum`)
}

function prefixed(prefix: string, fields: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).map(([key, value]) => [`${prefix}.${key}`, value]))
}

/** What a contract has signed is for the contract to judge, and stays as it is. */
async function formOf(
  given: unknown,
  { digest, address }: { digest: Hex; address: Address },
): Promise<Signature> {
  const signature = typeof given === 'string' ? splitSignature(given as Hex) : null
  if (signature === null)
    throw new InfernetError('The wallet gave a signature that is not 65 bytes: it cannot be sent', {
      status: null,
      code: 'not_signed',
    })
  const canonical = toCanonical(signature)
  const isAccounts = (await recoverSigner(digest, canonical)) === address.toLowerCase()
  return isAccounts ? canonical : signature
}
