/** In a row, or a log line. */
const maxLength = 200
/** What somebody else's text is looked at for, at most. */
const maxRead = 1_000
const gap = '…'

/** Whatever may be a key, or lead to one: it is somebody's own text that is shown. */
const secrets: readonly RegExp[] = [
  // A URL, a host with whatever follows, an address of the net.
  /[a-z][a-z0-9+.-]*:\/\/\S*/gi,
  /(?:[\w-]+\.)+[a-z]{2,}\b\S*/gi,
  /\d+\.\d+\.\d+\.\d+\S*/g,
  // What is named as one.
  /\b(?:api|access|auth|project|secret|private|app)?[ _-]?(?:key|token|secret|password|bearer|id)\b["']?\s*[:=]\s*\S+/gi,
  /\bbearer\s+\S+/gi,
  // What nobody says: long, or of letters and digits. An address is no secret.
  /(?<![\w~+/=-])(?!0x[0-9a-f]{40}(?![\w~+/=-]))[\w~+/=-]{24,}/gi,
  /(?<![\w~+/=-])(?!0x[0-9a-f]{40}(?![\w~+/=-]))(?=[\w~+/=-]*\d)(?=[\w~+/=-]*[a-z])[\w~+/=-]{10,}/gi,
]

/**
 * A text of somebody else's to show: 200 characters at most, on one line, without URLs, hosts and what may be a key; addresses of a chain
 * stay. What is left out is an ellipsis.
 */
export function cleaned(text: string): string {
  const line = text.slice(0, maxRead).replace(/[\p{C}\s]+/gu, ' ')
  const safe = secrets.reduce((rest, pattern) => rest.replace(pattern, gap), line).trim()
  return safe.length <= maxLength ? safe : `${safe.slice(0, maxLength - gap.length)}${gap}`
}
