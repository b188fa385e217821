import type { Hex } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'

const maxUrls = 8
const maxUrlLength = 2_048

/** `privateKey`: null if `problems` says what is wrong with it. */
export type Secrets = { urls: string[]; privateKey: Hex | null; problems: string[] }

/** A chain's secrets. Problems name the var, and a URL by its place: not even its host. */
export function readSecrets(vars: Record<string, unknown>, id: number): Secrets {
  const urls = readUrls(vars[`CHAIN_${id}_RPC_URLS`])
  const key = readKey(vars[`CHAIN_${id}_PRIVATE_KEY`])
  return {
    urls: urls.urls,
    privateKey: key.privateKey,
    problems: [
      ...urls.problems.map(problem => `CHAIN_${id}_RPC_URLS: ${problem}`),
      ...key.problems.map(problem => `CHAIN_${id}_PRIVATE_KEY: ${problem}`),
    ],
  }
}

function readUrls(text: unknown): { urls: string[]; problems: string[] } {
  const urls = typeof text === 'string' ? text.split(/[\s,]+/).filter(url => url !== '') : []
  if (urls.length === 0) return { urls, problems: [text === undefined ? 'is missing' : 'has no URL in it'] }
  if (urls.length > maxUrls) return { urls, problems: [`must have at most ${maxUrls} URLs`] }
  const problems = urls.flatMap((url, index) => {
    if (!isHttpUrl(url)) return [`URL ${index + 1} does not begin with http:// or https://, or is none`]
    const first = urls.findIndex(other => isSame(other, url))
    return first < index ? [`URL ${index + 1} is URL ${first + 1} again`] : []
  })
  return { urls, problems }
}

function isHttpUrl(text: string): boolean {
  return text.length <= maxUrlLength && /^https?:$/.test(URL.parse(text)?.protocol ?? '')
}

function isSame(one: string, other: string): boolean {
  return URL.parse(one)?.href === URL.parse(other)?.href
}

function readKey(text: unknown): { privateKey: Hex | null; problems: string[] } {
  if (text === undefined) return { privateKey: null, problems: ['is missing'] }
  const digits = typeof text === 'string' ? text.trim().replace(/^0x/i, '') : ''
  if (!/^[0-9a-fA-F]{64}$/.test(digits))
    return { privateKey: null, problems: ['must be 64 hexadecimal digits, with or without 0x'] }
  const privateKey: Hex = `0x${digits.toLowerCase()}`
  return isKey(privateKey)
    ? { privateKey, problems: [] }
    : { privateKey: null, problems: ['is no private key'] }
}

/** Zero, and what is beyond the order of the curve, is none. */
function isKey(privateKey: Hex): boolean {
  try {
    privateKeyToAccount(privateKey)
    return true
  } catch {
    // What it throws holds the key.
    return false
  }
}
