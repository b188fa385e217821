/**
 * Takes a request on: everything it can be refused for is found before this returns.
 *
 * @returns what will be known of the outcome, and `run`, which hands over each piece of text and ends with the last
 */
export function begin(chat, { model, queue, signal }) {
  const prepared = model.prepare(chat)
  const outcome = { promptTokens: prepared.tokens.length, completionTokens: 0, finish: 'stop' }
  const withSlot = queue.enter(signal)
  return {
    outcome,
    run: onText =>
      withSlot(async sequence => {
        for await (const text of model.generate(sequence, prepared, { signal, outcome })) onText(text)
      }),
    async text() {
      let whole = ''
      await this.run(text => {
        whole += text
      })
      return whole
    },
  }
}
