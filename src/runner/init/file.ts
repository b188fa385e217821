import { relative, resolve } from 'node:path'
import type { Answers } from './answers.ts'

export type FileOptions = Answers & { path: string; keyFile: string }

/** The text of a new `config.json`: what was answered, and nothing that has a default. */
export function configText({ edge, container, path, keyFile }: FileOptions): string {
  const directory = resolve(path, '..')
  const key = relative(directory, resolve(keyFile))
  const file = {
    edge: { url: edge, key_file: key.startsWith('..') ? resolve(keyFile) : key },
    containers: container === null ? [] : [entryOf(container)],
  }
  return `${JSON.stringify(file, null, 2)}\n`
}

function entryOf({ id, place }: NonNullable<Answers['container']>): object {
  return /^https?:\/\//.test(place) ? { id, url: place } : { id, image: place }
}
