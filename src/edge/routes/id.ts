/** What an id in a path may be: UUIDs, thumbprints, and the ids of statuses written by hand. Anything else names nothing. */
export function isId(id: string): boolean {
  return /^[\x21-\x7e]{1,128}$/.test(id)
}
