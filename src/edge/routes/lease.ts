import * as v from 'valibot'

/** `attempt` of a lease, in a query. */
export const Attempt = v.pipe(v.string(), v.regex(/^\d{1,9}$/), v.toNumber(), v.minValue(1))

/** A process that this edge does not know: it registers and goes on. */
export const unknownInstance = { code: 'conflict', error: 'Unknown instance: register again' } as const

export const staleLease = { code: 'conflict', error: 'The lease is not yours any more' } as const
