import { BaseError, ContractFunctionRevertedError, ContractFunctionZeroDataError } from 'viem'
import { InfernetError } from './error.ts'

/** A chain's node gave no answer, or none that can be used. `host`: of its URL, the rest of which is often a key. */
export function unanswered(host: string, cause: unknown): InfernetError {
  const message = `The chain at ${host} cannot be asked: ${saidOf(cause)}`
  return new InfernetError(message, { status: null, code: 'bad_answer', cause })
}

/** Without the URL, which viem's whole message has. */
export function saidOf(cause: unknown): string {
  return (cause instanceof BaseError ? `${cause.shortMessage} ${cause.details}` : String(cause)).trim()
}

/** Whether a contract does not know the function that was called, or there is no contract. */
export function isUnknown(error: unknown): boolean {
  return (
    error instanceof BaseError &&
    error.walk(
      cause =>
        cause instanceof ContractFunctionRevertedError || cause instanceof ContractFunctionZeroDataError,
    ) !== null
  )
}
