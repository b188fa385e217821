const toleratedSeconds = 30

/** Why a token was refused, as far as it can be told from here: a clock that is off, or a key that the edge does not know. */
export function explainRefusal({
  date,
  now,
  id,
}: {
  date: string | undefined
  now: number
  id: string
}): string {
  const theirs = date === undefined ? Number.NaN : Date.parse(date)
  const aheadSeconds = Math.round((now - theirs) / 1000)
  if (Math.abs(aheadSeconds) > toleratedSeconds) {
    const direction = aheadSeconds > 0 ? 'ahead of' : 'behind'
    return `this host's clock is ${Math.abs(aheadSeconds)} s ${direction} the edge's; set it right`
  }
  return `the key of runner ${id} is not enrolled there, or was revoked; enrol it with \`infernet-runner enrol\``
}
