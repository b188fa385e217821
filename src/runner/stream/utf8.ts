/** Whether bytes are UTF-8, told as they come. */
export type Utf8 = { push(bytes: Uint8Array): void; end(): boolean }

export function createUtf8(): Utf8 {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let isText = true
  const check = (bytes?: Uint8Array) => {
    if (!isText) return
    try {
      decoder.decode(bytes, { stream: bytes !== undefined })
    } catch {
      isText = false
    }
  }
  return {
    push: check,
    end() {
      check()
      return isText
    },
  }
}
