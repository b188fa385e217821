import { encodeAbiParameters, type Hex, size } from 'viem'
import { type Json, jsonText } from '../../protocol/json.ts'
import { pythonText } from './python.ts'

/** What `deliverCompute` is given. */
export type EncodedAnswer = { input: Hex; output: Hex; proof: Hex }
/** Why an output is not delivered: a code, and a sentence for people. */
export type AnswerProblem = {
  problem: 'container_errored' | 'results_empty' | 'invalid_output' | 'missing_proof' | 'output_too_large'
  message: string
}

/**
 * `stringOutput`: how an output without the five keys is told. `maxBytes`: of input, output and proof together. `requiresProof`: without a
 * proof it is none.
 */
export type EncodeOptions = { stringOutput: 'json' | 'python'; maxBytes: number; requiresProof: boolean }

/** In the order in which they are encoded. */
const keys = ['raw_input', 'processed_input', 'raw_output', 'processed_output', 'proof'] as const
const bytesPair = [{ type: 'bytes' }, { type: 'bytes' }] as const
const text = [{ type: 'string' }] as const

/**
 * Encodes the last container's output for the chain (reference node 2.5): five keys in hex are pairs of `abi.encode(bytes, bytes)` and a
 * proof; all else is a string. An output whose `code` is anything but 200 says that the container failed.
 */
export function encodeAnswer(
  output: Json,
  { stringOutput, maxBytes, requiresProof }: EncodeOptions,
): EncodedAnswer | AnswerProblem {
  if (output instanceof Map && output.has('code') && !isOk(output.get('code')))
    return { problem: 'container_errored', message: `The container answered with code ${codeOf(output)}.` }
  const answer = output instanceof Map && keys.every(key => output.has(key)) ? encodeKeys(output) : null
  const encoded = answer ?? encodeText(stringOutput === 'python' ? pythonText(output) : jsonText(output))
  if ('problem' in encoded) return encoded
  if (requiresProof && encoded.proof === '0x') return noProof
  const bytes = size(encoded.input) + size(encoded.output) + size(encoded.proof)
  if (bytes <= maxBytes) return encoded
  return tooLarge(`The answer is ${bytes} bytes; ${maxBytes} are the most.`)
}

/** A verifier would take the stake for it. */
const noProof: AnswerProblem = {
  problem: 'missing_proof',
  message: 'The container gave no proof, and the subscription has a verifier.',
}

/** An output that is refused without being looked at. */
export function tooLarge(message: string): AnswerProblem {
  return { problem: 'output_too_large', message }
}

function isOk(code: Json | undefined): boolean {
  return code === '200' || code === 200n
}

function codeOf(output: Map<string, Json>): string {
  return jsonText(output.get('code') ?? null).slice(0, 64)
}

function encodeKeys(output: Map<string, Json>): EncodedAnswer | AnswerProblem {
  const read: Hex[] = []
  for (const key of keys) {
    const bytes = readHex(output.get(key))
    if (bytes === null)
      return { problem: 'invalid_output', message: `The output's ${key} is not hex, with two digits a byte.` }
    read.push(bytes)
  }
  const [rawInput, processedInput, rawOutput, processedOutput, proof] = read as [Hex, Hex, Hex, Hex, Hex]
  return {
    input: encodeAbiParameters(bytesPair, [rawInput, processedInput]),
    output: encodeAbiParameters(bytesPair, [rawOutput, processedOutput]),
    proof,
  }
}

/** Hex with or without `0x`; null and the empty string are no bytes. @returns null when it is no hex. */
function readHex(value: Json | undefined): Hex | null {
  if (value === null) return '0x'
  if (typeof value !== 'string') return null
  const digits = /^0x/i.test(value) ? value.slice(2) : value
  return digits.length % 2 === 0 && !/[^0-9a-f]/i.test(digits) ? `0x${digits.toLowerCase()}` : null
}

function encodeText(value: string): EncodedAnswer {
  return { input: '0x', output: encodeAbiParameters(text, [value]), proof: '0x' }
}
