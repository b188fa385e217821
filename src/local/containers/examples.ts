import { fileURLToPath } from 'node:url'

/** A compute container that ships with the node: its folder, and the image made of it. */
export type Example = {
  id: string
  description: string
  folder: string
  image: string
  /** Whether it has packages of its own, installed beside its lock file. */
  packages: boolean
}

export const helloWorld: Example = {
  id: 'hello-world',
  description: 'Greets and repeats its input',
  folder: folder('hello-world'),
  image: 'infernet-edge/hello-world:local',
  packages: false,
}

export const ocr: Example = {
  id: 'ocr',
  description: 'Reads the text in a picture (PP-OCRv4, CPU)',
  folder: folder('ocr'),
  image: 'infernet-edge/ocr:local',
  packages: true,
}

function folder(id: string): string {
  return fileURLToPath(new URL(`../../../examples/containers/${id}`, import.meta.url))
}
