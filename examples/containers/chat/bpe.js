/** How GPT-2 cuts a text before it pairs bytes: words with the space before them, numbers, marks, the rest. */
const pieces = /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu

/**
 * Learns a byte-pair encoding: `count` times, the pair that is next to each other most often becomes one token.
 *
 * @returns the 256 bytes and what was learned, as GPT-2 spells them, and the merges in the order of learning
 */
export function learnBpe(text, count) {
  const spelling = byteSpelling()
  const words = (text.match(pieces) ?? []).map(word => [...Buffer.from(word)].map(byte => spelling[byte]))
  const tokens = [...spelling]
  const merges = []
  while (merges.length < count) {
    const pair = mostFrequent(words)
    if (!pair) break
    merges.push(pair.join(' '))
    tokens.push(pair.join(''))
    for (const word of words) merge(word, pair)
  }
  return { tokens, merges }
}

/** Of pairs that are as frequent, the one that comes first in the text. */
function mostFrequent(words) {
  const counts = new Map()
  for (const word of words) {
    for (let at = 0; at + 1 < word.length; at++) {
      const pair = `${word[at]} ${word[at + 1]}`
      counts.set(pair, (counts.get(pair) ?? 0) + 1)
    }
  }
  let best
  for (const [pair, times] of counts) if (times > (best?.times ?? 1)) best = { pair, times }
  return best?.pair.split(' ')
}

function merge(word, [left, right]) {
  for (let at = 0; at + 1 < word.length; at++) {
    if (word[at] === left && word[at + 1] === right) word.splice(at, 2, left + right)
  }
}

/** A character for each byte: itself where it can be printed, else one above 255. */
function byteSpelling() {
  let next = 256
  return Array.from({ length: 256 }, (_, byte) => {
    const printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174
    return String.fromCharCode(printable ? byte : next++)
  })
}
