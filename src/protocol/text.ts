import * as v from 'valibot'

/** Text that a database gives back as it was: no NUL, no half of a surrogate pair. */
export const Text = v.pipe(
  v.string(),
  v.check(text => text.isWellFormed() && !text.includes('\0'), 'must be text without NUL'),
)
