import { readFile } from 'node:fs/promises'
import { type Json, jsonText, parseJson, plain } from '../../protocol/json.ts'
import type { NewSubscription } from '../sign.ts'
import { UsageError } from './exit.ts'

/**
 * A file of parameters: `{"subscription": {...}, "data": {...}}`, or as the reference's client has it the fields of the subscription alone.
 * Numbers keep every digit.
 * @returns `dataJson` null: there is no input in it.
 * @throws UsageError when it is no such file. What is in the fields is for the signing to judge.
 */
export async function readParams(
  path: string,
): Promise<{ subscription: NewSubscription; dataJson: string | null }> {
  const text = await readFile(path, 'utf8').catch((error: Error) => {
    throw new UsageError(`Cannot read the parameters: ${error.message}`)
  })
  const params = parse(path, text)
  const subscription = params.get('subscription') ?? params
  if (!(subscription instanceof Map)) throw new UsageError(`${path}: subscription: must be an object`)
  const data = subscription === params ? undefined : params.get('data')
  return {
    subscription: plain(subscription) as NewSubscription,
    dataJson: data === undefined ? null : jsonText(data),
  }
}

function parse(path: string, text: string): Map<string, Json> {
  try {
    const json = parseJson(text)
    if (json instanceof Map) return json
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
    throw new UsageError(`${path} is not JSON: ${error.message}`)
  }
  throw new UsageError(`${path} is not the JSON text of an object`)
}
