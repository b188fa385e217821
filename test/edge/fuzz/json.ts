/** JSON as a text has it, not as a parser gives it: keys may repeat, and a scalar is whatever text stands there. */
export type Node =
  | { kind: 'text'; text: string }
  | { kind: 'array'; items: Node[] }
  | { kind: 'object'; entries: (readonly [key: string, value: Node])[] }

export const scalar = (value: unknown): Node => ({ kind: 'text', text: JSON.stringify(value) })
export const text = (raw: string): Node => ({ kind: 'text', text: raw })

export function print(node: Node): string {
  if (node.kind === 'text') return node.text
  if (node.kind === 'array') return `[${node.items.map(print).join(',')}]`
  return `{${node.entries.map(([key, value]) => `${JSON.stringify(key)}:${print(value)}`).join(',')}}`
}

/** How many values a text has, itself among them. */
export function sizeOf(node: Node): number {
  return 1 + childrenOf(node).reduce((sum, child) => sum + sizeOf(child), 0)
}

function childrenOf(node: Node): Node[] {
  if (node.kind === 'text') return []
  return node.kind === 'array' ? node.items : node.entries.map(([, value]) => value)
}

/** The text with another value in the place of its `index`th, counted from the outside. */
export function replaceAt(node: Node, index: number, by: (old: Node) => Node): Node {
  if (index === 0) return by(node)
  let left = index - 1
  const replaceChild = (child: Node): Node => {
    const size = sizeOf(child)
    const here = left >= 0 && left < size
    const replaced = here ? replaceAt(child, left, by) : child
    left -= size
    return replaced
  }
  if (node.kind === 'array') return { ...node, items: node.items.map(replaceChild) }
  if (node.kind === 'object')
    return { ...node, entries: node.entries.map(([key, value]) => [key, replaceChild(value)] as const) }
  return node
}
