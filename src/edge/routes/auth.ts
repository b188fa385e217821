import type { Context, MiddlewareHandler } from 'hono'
import type { Refusal } from '../../protocol/error.ts'
import type { PolicyCache } from '../runners/policy.ts'
import type { TokenVerifier } from '../runners/token.ts'
import { refuse } from './refuse.ts'

/** What a runner's request is known by. */
export type RunnerEnv = { Variables: { runner: string } }

/** Lets runners in. Whatever is wrong, the answer is the same. */
export function runnerAuth(verify: TokenVerifier): MiddlewareHandler<RunnerEnv> {
  return async function runnerAuth(c, next) {
    const token = bearer(c)
    const runner = token === null ? null : await verify(token)
    if (runner === null) return unauthorized(c)
    c.set('runner', runner)
    return await next()
  }
}

/**
 * Answers a runner whose statement matched nothing: with the refusal, or, when it was revoked a moment ago, as any bad token is.
 */
export async function refuseRunner(
  c: Context<RunnerEnv>,
  policy: PolicyCache,
  refusal: Refusal,
): Promise<Response> {
  const { keys } = await policy.readCurrent()
  return keys.has(c.var.runner) ? refuse(c, refusal) : unauthorized(c)
}

/** Lets the operator in. Without an `ADMIN_TOKEN` nobody is. */
export function adminAuth(adminToken: string | undefined): MiddlewareHandler {
  return async function adminAuth(c, next) {
    return (await isAdmin(c, adminToken)) ? await next() : unauthorized(c)
  }
}

export async function isAdmin(c: Context, adminToken: string | undefined): Promise<boolean> {
  const token = bearer(c)
  return token !== null && adminToken !== undefined && (await sameSecret(token, adminToken))
}

export function unauthorized(c: Context): Response {
  c.header('www-authenticate', 'Bearer')
  return refuse(c, { code: 'unauthorized', error: 'Unauthorized' })
}

export function bearer(c: Context): string | null {
  const [scheme, token] = (c.req.header('authorization') ?? '').split(' ')
  return scheme?.toLowerCase() === 'bearer' && token ? token : null
}

/** Compares digests, so that neither length nor content shows in the time taken. */
async function sameSecret(a: string, b: string): Promise<boolean> {
  const digest = async (text: string) =>
    new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text)))
  const [left, right] = await Promise.all([digest(a), digest(b)])
  let difference = 0
  left.forEach((byte, index) => {
    difference |= byte ^ (right[index] ?? 0)
  })
  return difference === 0
}
