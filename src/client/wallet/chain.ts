import {
  type Account,
  type Address,
  createPublicClient,
  createWalletClient,
  type Hex,
  http,
  type LocalAccount,
  type PublicClient,
  type Transport,
  type WalletClient,
} from 'viem'
import { isUnknown, unanswered } from '../chain-error.ts'
import { invalid } from '../error.ts'
import { broadcast, notSent } from './sending.ts'

/** `value`: wei. */
export type Transaction = { to: Address; data?: Hex; value?: bigint }

/** Who sends transactions. */
export type Sender = {
  address: Address
  /** @returns its hash. @throws InfernetError `not_sent`, `not_signed`. */
  send(transaction: Transaction): Promise<Hex>
}

/** A chain, to look at wallets and to send for them. */
export type WalletChain = {
  reads: PublicClient
  sender: Sender | null
  /** How long a transaction is waited for. */
  waitMs: number
  /** Of the node's URL, the rest of which is often a key. */
  host: string
}

/** An account of viem that signs by itself, or a wallet client of viem with an account, such as one over a wallet of the browser. */
export type WalletSigner = LocalAccount | WalletClient<Transport, undefined, Account> | WalletClient

export type WalletChainOptions = {
  rpcUrl: string
  /** Absent: wallets are only looked at. */
  signer?: WalletSigner | undefined
  /** Two minutes, as the reference's client. */
  waitMs?: number | undefined
}

const usualWaitMs = 120_000
const pollingMs = 500

/** @throws InfernetError `invalid_request` when `rpcUrl` is no HTTP URL, or the signer has no account. */
export function openWalletChain({ rpcUrl, signer, waitMs = usualWaitMs }: WalletChainOptions): WalletChain {
  if (!URL.canParse(rpcUrl) || !/^https?:/.test(rpcUrl)) throw invalid('rpcUrl must be an HTTP URL')
  const { host } = new URL(rpcUrl)
  const shared = { transport: http(rpcUrl), pollingInterval: pollingMs }
  const reads = createPublicClient(shared)
  if (signer === undefined) return { reads, sender: null, waitMs, host }
  const sender =
    'signTransaction' in signer && !('transport' in signer)
      ? ofAccount(signer as LocalAccount, { client: createWalletClient(shared), reads, host })
      : ofClient(signer as WalletClient, { reads, host })
  return { reads, sender, waitMs, host }
}

/** Signed here, so that its hash is known whatever becomes of the request that sends it. */
function ofAccount(
  account: LocalAccount,
  { client, reads, host }: { client: WalletClient; reads: PublicClient; host: string },
): Sender {
  return {
    address: account.address,
    async send(transaction) {
      const signed = await client
        .prepareTransactionRequest({ account, chain: null, ...transaction })
        // Of the many forms of a request only viem knows that what it prepares it can sign.
        .then(request => account.signTransaction(request as Parameters<typeof account.signTransaction>[0]))
        .catch(cause => {
          throw notSent(cause, { host, address: account.address })
        })
      return await broadcast(reads, signed, { host, address: account.address })
    },
  }
}

function ofClient(client: WalletClient, { reads, host }: { reads: PublicClient; host: string }): Sender {
  const { account } = client
  if (!account) throw invalid('The wallet client has no account')
  return {
    address: account.address,
    async send(transaction) {
      const [ours, theirs] = await Promise.all([reads.getChainId(), client.getChainId()]).catch(cause => {
        throw unanswered(host, cause)
      })
      if (ours !== theirs) throw invalid(`The wallet client is on chain ${theirs}, not on ${ours}`)
      return await client.sendTransaction({ account, chain: null, ...transaction }).catch(cause => {
        throw notSent(cause, { host, address: account.address })
      })
    },
  }
}

/**
 * What a contract says; null: it does not know the question, or is none.
 * @throws InfernetError `bad_answer`.
 */
export async function told<Answer>(
  { host }: Pick<WalletChain, 'host'>,
  question: Promise<Answer>,
): Promise<Answer | null> {
  try {
    return await question
  } catch (error) {
    if (isUnknown(error)) return null
    throw unanswered(host, error)
  }
}

/** @throws InfernetError `bad_answer`. */
export async function asked<Answer>(
  { host }: Pick<WalletChain, 'host'>,
  question: Promise<Answer>,
): Promise<Answer> {
  return await question.catch(cause => {
    throw unanswered(host, cause)
  })
}

/** @throws InfernetError `invalid_request`: nobody can sign. */
export function senderOf({ sender }: WalletChain): Sender {
  if (sender === null) throw invalid('Without a signer wallets can only be looked at')
  return sender
}
