/** A file of the spool is not what was stored. */
export class DamagedError extends Error {
  override readonly name = 'DamagedError'
}
