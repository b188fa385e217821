import type { Target } from '../containers.ts'
import type { Sources } from './sources.ts'

/** Why the runner claims no jobs, for people; empty when it does. */
export function reasonsOf(sources: Sources): string[] {
  const { meter, containers, disk, fitness, isEnding, isRegistered, isFull, mode } = sources
  const reasons: string[] = []
  if (isEnding()) reasons.push('the runner is ending')
  const trouble = meter.trouble()
  if (!isRegistered())
    reasons.push(`not registered with the edge${trouble === null ? ' yet' : `: ${trouble}`}`)
  else if (trouble !== null) reasons.push(trouble)
  if (mode() !== 'run') reasons.push(`the edge has set the mode ${mode()}`)
  if (isFull()) reasons.push('the spool is full')
  if (!disk.works()) reasons.push('the disk of the spool fails')
  for (const { detail } of fitness.findings().filter(finding => finding.containers === null))
    reasons.push(`this host is unfit: ${detail}`)
  const all = containers.all()
  if (all.length === 0) reasons.push('no container is configured')
  else if (!all.some(({ health }) => health === 'ready'))
    reasons.push(`no container is ready: ${all.map(told).join(', ')}`)
  return reasons
}

function told({ config: { id }, health, detail }: Target): string {
  return `${id} (${detail === undefined ? health : `${health}: ${detail}`})`
}
