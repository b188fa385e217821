import cv from '@techstark/opencv-js'

/**
 * Runs `task` and frees every OpenCV matrix that was made meanwhile.
 *
 * OpenCV's memory is not garbage-collected, and the recognition library frees only some of its matrices: with
 * pages of twenty lines its 1 GiB was full, and every further call failed, after 89 pages.
 */
export async function withMatrices(task) {
  const made = []
  const originals = { ...pick(cv, makers) }
  for (const name of makers) cv[name] = recording(originals[name], made)
  try {
    return await task()
  } finally {
    Object.assign(cv, originals)
    for (const matrix of made) if (!matrix.isDeleted()) matrix.delete()
  }
}

const makers = [
  'Mat',
  'MatVector',
  'matFromArray',
  'matFromImageData',
  'getPerspectiveTransform',
  'getRotationMatrix2D',
]

function recording(maker, made) {
  const record = matrix => {
    made.push(matrix)
    return matrix
  }
  return new Proxy(maker, {
    construct: (target, args) => {
      const handle = record(new target(...args))
      // `MatVector.get` makes a new handle each time.
      if (typeof handle.get === 'function') {
        const get = handle.get.bind(handle)
        handle.get = index => record(get(index))
      }
      return handle
    },
    apply: (target, self, args) => record(Reflect.apply(target, self, args)),
  })
}

function pick(object, keys) {
  return Object.fromEntries(keys.map(key => [key, object[key]]))
}
