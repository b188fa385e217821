import { request } from 'undici'
import * as v from 'valibot'
import { ErrorBody } from '../../protocol/error.ts'
import { fail } from './fail.ts'

export type AdminRequest = { method: 'POST' | 'DELETE'; edge: string; path: string; body?: unknown }

/** Asks the edge as an operator: the token comes from `ADMIN_TOKEN`, so that no process list shows it. Ends on any refusal. */
export async function admin({ method, edge, path, body }: AdminRequest): Promise<string> {
  const token = process.env.ADMIN_TOKEN
  if (!token) return fail("Set ADMIN_TOKEN to the edge's admin token")
  const response = await request(`${edge.replace(/\/+$/, '')}${path}`, {
    method,
    headers: {
      authorization: `Bearer ${token}`,
      ...(body !== undefined && { 'content-type': 'application/json' }),
    },
    body: body === undefined ? null : JSON.stringify(body),
  }).catch((error: Error) => fail(`No answer from ${edge}: ${error.message}`))
  const text = await response.body.text()
  if (response.statusCode < 300) return text
  const said = v.safeParse(v.pipe(v.string(), v.parseJson(), ErrorBody), text)
  return fail(`The edge answered ${response.statusCode}${said.success ? `: ${said.output.error}` : ''}`)
}
