/** Whether a text is JSON, and what it says is as it should be. */
export function isJson(text: string, is: (value: unknown) => boolean): boolean {
  try {
    return is(JSON.parse(text))
  } catch {
    return false
  }
}
