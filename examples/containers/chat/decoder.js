/** A character may be spread over several tokens, and is incomplete until the last of them; never more than four bytes. */
const mostTokens = 4

/** Turns tokens into text as they come, whole characters at a time. */
export function createDecoder(detokenize) {
  let shown = []
  let pending = []

  const show = () => {
    const text = detokenize(pending, shown)
    shown = pending
    pending = []
    return text
  }

  return {
    /** @returns the text that is complete with this token; empty when none is */
    push(token) {
      pending.push(token)
      const incomplete = detokenize(pending, shown).endsWith('\ufffd')
      return incomplete && pending.length < mostTokens ? '' : show()
    },
    end: () => (pending.length > 0 ? show() : ''),
  }
}
