import { type Abi, BaseError, decodeErrorResult, type Hex, isHex, parseAbi } from 'viem'
import { walletAbi } from '../../protocol/abi/wallet.ts'
import { walletFactoryAbi } from '../../protocol/abi/wallet-factory.ts'
import { InfernetError } from '../error.ts'

/** What the contracts' own errors mean to whoever has sent. */
const sentences: Record<string, string> = {
  Unauthorized: 'Only the owner of the wallet may do that',
  InsufficientFunds: 'The wallet has less than that which is not locked',
  InsufficientAllowance: 'The spender was approved for less',
  TransferFailed: 'The token did not send: it reverted, or answered false',
  ETHTransferFailed: 'The wallet has less than that',
  InsufficientBalance: 'The account has less than that of the token',
  WalletExists: 'There is such a wallet already',
}

const errors: Abi = [
  ...[walletAbi, walletFactoryAbi].flatMap(abi => (abi as Abi).filter(({ type }) => type === 'error')),
  ...parseAbi([
    'error TransferFailed()',
    'error ETHTransferFailed()',
    'error InsufficientBalance()',
    // ERC-6093.
    'error ERC20InsufficientBalance(address sender, uint256 balance, uint256 needed)',
    'error ERC20InvalidSender(address sender)',
    'error ERC20InvalidReceiver(address receiver)',
  ]),
]

/** Of what a contract says, at most. */
const saidChars = 200

/** `mined`: of the transaction that was. */
export function reverted(data: Hex | null, mined: { hash: Hex } | null, cause?: unknown): InfernetError {
  const { error, message } = describeRevert(data)
  return new InfernetError(message, {
    status: null,
    code: 'reverted',
    params: { ...(error !== null && { error }), ...mined },
    cause,
  })
}

/** What an error of viem has that a contract reverted with; null: it reverted with nothing; undefined: it did not revert. */
export function revertData(error: unknown): Hex | null | undefined {
  if (!(error instanceof BaseError)) return undefined
  let found: Hex | undefined
  error.walk(cause => {
    const { data } = cause as { data?: unknown }
    const inner = typeof data === 'object' && data !== null ? (data as { data?: unknown }).data : data
    if (isHex(inner)) found ??= inner
    return false
  })
  if (found !== undefined) return found === '0x' ? null : found
  const isRevert = error.walk(
    cause => cause instanceof Error && /\brevert(ed)?\b/i.test((cause as { details?: string }).details ?? ''),
  )
  return isRevert === null ? undefined : null
}

function describeRevert(data: Hex | null): { error: string | null; message: string } {
  if (data === null) return { error: null, message: 'The contract refuses, and does not say why' }
  try {
    const { errorName, args = [] } = decodeErrorResult({ abi: errors, data })
    if (errorName === 'Error')
      return { error: null, message: `The contract refuses: ${String(args[0]).slice(0, saidChars)}` }
    if (errorName === 'Panic')
      return { error: `Panic(${String(args[0])})`, message: 'The contract refuses: it cannot compute that' }
    const error = args.length === 0 ? errorName : `${errorName}(${args.map(String).join(', ')})`
    return { error, message: sentences[errorName] ?? 'The contract refuses' }
  } catch {
    return { error: data.slice(0, 10), message: 'The contract refuses, with an error of its own' }
  }
}
