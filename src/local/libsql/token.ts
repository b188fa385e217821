import { timingSafeEqual } from 'node:crypto'

/** A check of the Authorization header that takes as long for a wrong token as for the right one of that length. */
export function createTokenCheck(token: string | undefined): (header: string | undefined) => boolean {
  if (token === undefined) return () => true
  const expected = Buffer.from(`Bearer ${token}`)
  return (header = '') => {
    const given = Buffer.from(header)
    const sameLength = given.length === expected.length
    return timingSafeEqual(sameLength ? given : expected, expected) && sameLength
  }
}
