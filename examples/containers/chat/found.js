import { existsSync } from 'node:fs'
import { basename } from 'node:path'
import { fileURLToPath } from 'node:url'
import { smollm2, tiny } from './pins.js'

export const modelsFolder = fileURLToPath(new URL('models', import.meta.url))

/** The weights to serve: what `MODEL_PATH` and `MODEL_NAME` say, or the best that is in the folder `models`. */
export function findWeights({ MODEL_PATH: path, MODEL_NAME: name }, folder = modelsFolder) {
  if (path) return { path, name: name ?? basename(path, '.gguf') }
  const found = [smollm2, tiny].find(({ file }) => existsSync(`${folder}/${file}`))
  if (found) return { path: `${folder}/${found.file}`, name: found.name }
  throw new Error('There are no weights: run `npm run weights`, or give a GGUF file with MODEL_PATH.')
}
