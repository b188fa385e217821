import * as v from 'valibot'
import { text } from './fields.ts'

/** A host's own address and a port of it; port 0 is a free one. */
export type Listen = { host: string; port: number }

/** `HOST:PORT`, with an IPv6 address in brackets; `""`: nowhere. */
export const ListenText = v.pipe(
  text,
  v.trim(),
  v.check(
    value => value === '' || listenOf(value) !== null,
    'must be an address and a port, such as "127.0.0.1:4001" or "[::1]:4001", or "" for none',
  ),
)

/** Null: nowhere. */
export function listenOf(value: string): Listen | null {
  const [, bracketed, plain, digits] = /^(?:\[([0-9a-fA-F:.]+)\]|([\w.-]+)):(\d{1,5})$/.exec(value) ?? []
  const host = bracketed ?? plain
  const port = Number(digits)
  return host === undefined || port > 65_535 ? null : { host, port }
}

/** Whether other machines cannot reach it. */
export function isLoopback({ host }: Listen): boolean {
  return host === 'localhost' || host === '::1' || /^127\./.test(host)
}
