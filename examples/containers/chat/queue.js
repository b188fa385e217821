import { Refusal } from './refusal.js'

/**
 * Hands out a fixed number of slots, first come, first served. At most `waiting` callers wait for one; one more is
 * refused at once, so that it tries elsewhere.
 */
export function createQueue({ slots, waiting }) {
  const free = [...slots]
  const line = []

  const release = slot => {
    const next = line.shift()
    if (next) next.take(slot)
    else free.push(slot)
  }

  return {
    get running() {
      return slots.length - free.length
    },
    get waiting() {
      return line.length
    },

    /**
     * Refuses or takes a place before it returns: what the caller has to be told with a status is known by then.
     *
     * @returns a function that runs a task with a slot when there is one. A caller that leaves gives its place up.
     */
    enter(signal) {
      const slot = free.pop()
      const turn = slot === undefined ? wait(signal) : Promise.resolve(slot)
      // It may be rejected before anybody runs a task.
      turn.catch(() => {})
      return async task => {
        const mine = await turn
        try {
          signal.throwIfAborted()
          return await task(mine)
        } finally {
          release(mine)
        }
      }
    },
  }

  function wait(signal) {
    if (line.length >= waiting) {
      throw new Refusal(503, `${line.length} requests are already waiting; try again later`)
    }
    return new Promise((resolve, reject) => {
      const place = {
        take(slot) {
          signal.removeEventListener('abort', leave)
          resolve(slot)
        },
      }
      function leave() {
        line.splice(line.indexOf(place), 1)
        reject(signal.reason)
      }
      signal.addEventListener('abort', leave, { once: true })
      line.push(place)
    })
  }
}
