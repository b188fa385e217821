import * as v from 'valibot'
import { uint } from '../../protocol/evm.ts'
import { toDelegatedText } from '../delegated.ts'
import { InfernetError } from '../error.ts'
import { type NewSubscription, signDelegatedSubscription } from '../sign.ts'
import { command } from './command.ts'
import { checkDelegation, domainOf, openChain } from './delegation.ts'
import { UsageError } from './exit.ts'
import { readInput, writeOutput } from './files.ts'
import { indent } from './indent.ts'
import { readAccount } from './key.ts'
import { named, openClient, output, url, wholeOf } from './options.ts'
import { readParams } from './params.ts'

const lifeSeconds = 3600

export const sub = command({
  name: 'sub',
  description: 'Sign a subscription for a consumer, and have the node serve it; prints what the node answers',
  args: {
    params: {
      type: 'string',
      required: true,
      description: 'JSON file: {"subscription": {...}, "data": {...}}, or the subscription alone.',
      valueHint: 'file',
    },
    key: {
      type: 'string',
      description:
        'File with the private key of the signer, which nobody else may read, or the key itself (or PRIVATE_KEY).',
      valueHint: 'file',
    },
    nonce: {
      type: 'string',
      default: 'auto',
      description: 'Of the owner, unused; auto: any that is, which the chain at --rpc knows.',
      valueHint: 'n|auto',
    },
    'expires-in': {
      type: 'string',
      description: `Seconds in which the signature is good, from active_at on, or from now if that is later; usual: ${lifeSeconds}.`,
      valueHint: 'n',
    },
    expiry: {
      type: 'string',
      description: 'The same as a time: Unix seconds.',
      valueHint: 'n',
    },
    rpc: {
      type: 'string',
      alias: 'rpc-url',
      description: 'URL of a node of the chain: asked for nonces, and whether the owner takes this signer.',
      valueHint: 'url',
    },
    chain: {
      type: 'string',
      description: 'EIP-155 id; else that of --rpc, else the one that the node serves.',
      valueHint: 'id',
    },
    coordinator: {
      type: 'string',
      alias: 'address',
      description: 'Its address; else what the node says.',
      valueHint: 'address',
    },
    input: {
      type: 'string',
      alias: 'i',
      description: 'JSON file with the data, if the parameters have none; else stdin.',
      valueHint: 'file',
    },
    'sign-data': {
      type: 'boolean',
      default: false,
      description: 'Sign for the data as well, so that nobody sends other data with the signature.',
    },
    'dry-run': {
      type: 'boolean',
      default: false,
      description: 'Print what would be sent, and send nothing.',
    },
    output,
    url,
  },
  async run({ args }) {
    const now = Math.floor(Date.now() / 1000)
    const life = lifeOf(args, now)
    const chosen = nonceOf(args.nonce)
    const { subscription, dataJson: given } = await readParams(args.params)
    // Nobody creates it before it begins: a life that was over by then would be of no use.
    const expiry = life.until ?? Math.max(now, beginOf(subscription)) + life.seconds
    const account = await readAccount(named('--key', args.key, 'PRIVATE_KEY'))
    if (given !== null && args.input !== undefined)
      throw new UsageError('--input and the parameters both have data')
    const dataJson = given ?? (await readInput(args.input ?? '-'))
    const chain = args.rpc === undefined ? null : openChain(args.rpc)
    const domain = await domainOf(args, chain)
    const nonce = chain ? await checkDelegation(chain, { domain, subscription, account, chosen }) : chosen
    if (nonce === null)
      throw new UsageError('--nonce auto asks the chain: name it with --rpc, or choose a nonce')
    const signed = await signDelegatedSubscription(account, {
      ...{ subscription, nonce, expiry, ...domain },
      signData: args['sign-data'] ? { dataJson } : undefined,
    })
    if (args['dry-run']) return await writeOutput(args.output, toDelegatedText(signed, { dataJson }))
    const created = await openClient(args.url)
      .createDelegatedSubscription({ ...signed, dataJson })
      .catch((error: unknown) => {
        throw withNonce(error, nonce)
      })
    await writeOutput(args.output, indent(JSON.stringify(created)))
  },
})

/** Without an answer it may have been taken on: under another nonce it would be a second one. */
function withNonce(error: unknown, nonce: number): unknown {
  if (!(error instanceof InfernetError) || (error.status !== null && error.status < 500)) return error
  const { message, status, code, params, cause } = error
  return new InfernetError(message, { status, code, params: { ...params, nonce }, cause })
}

/** How long the signature is good: a number of seconds, or until a time if one was named. */
function lifeOf(
  { expiry, 'expires-in': expiresIn }: { expiry?: string | undefined; 'expires-in'?: string | undefined },
  now: number,
): { seconds: number; until: number | null } {
  if (expiry !== undefined && expiresIn !== undefined)
    throw new UsageError('--expiry and --expires-in say the same')
  const seconds = wholeOf('--expires-in', expiresIn ?? String(lifeSeconds))
  if (expiry === undefined) return { seconds, until: null }
  const until = wholeOf('--expiry', expiry)
  if (until <= now) throw new UsageError('--expiry is over: Unix seconds are meant')
  return { seconds, until }
}

/** Unix seconds; 0: at once. What is no time is for the signing to refuse. */
function beginOf({ active_at: activeAt }: NewSubscription): number {
  return v.parse(v.fallback(uint(32), 0), activeAt)
}

function nonceOf(text: string): number | null {
  return text === 'auto' ? null : wholeOf('--nonce', text)
}
