import { Refusal } from './refusal.js'

/**
 * Runs one task at a time. A recognition already uses every core, so a second one beside it would only slow both
 * and double the memory. At most `waiting` tasks wait; one more is refused, so that the caller tries elsewhere.
 */
export function createQueue({ waiting }) {
  let tail = Promise.resolve()
  let length = 0

  return {
    async run(task, signal) {
      if (length > waiting) throw new Refusal(503, `${length} pictures are already waiting; try again later`)
      length += 1
      const turn = tail.then(() => {
        signal.throwIfAborted()
        return task()
      })
      tail = turn.catch(() => {})
      try {
        return await turn
      } finally {
        length -= 1
      }
    },
  }
}
