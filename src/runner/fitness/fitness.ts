import type { Finding } from '../../protocol/host.ts'
import { limits } from '../../protocol/limits.ts'
import type { Cause } from '../cause.ts'
import type { Containers } from '../containers.ts'
import type { Log } from '../log.ts'
import { sleep } from '../sleep.ts'
import { messageOf } from '../trouble.ts'
import type { Check, Checks, Found, OfContainers } from './found.ts'

export type Fitness = {
  /** Whether anything may be claimed at all; not before it is known. */
  isFit(): boolean
  /** As the edge is told. */
  findings(): Finding[]
  /** Each looks at one side again and again until the signal aborts, so that one which hangs holds up no other. */
  loops: readonly (() => Promise<void>)[]
}

export type FitnessOptions = {
  checks: Checks
  containers: Containers
  /** After each check. `isNews`: it has found something else than the time before. */
  onLooked: (isNews: boolean) => void
  /** What has broken a container is over: it is to be started anew, for this cause. */
  onMended: (container: string, cause: Cause) => void
  log: Log
  signal: AbortSignal
  pace?: FitnessPace
}

/** A host that is unfit is looked at more often, since it may be well again. */
export type FitnessPace = { fitMs: number; unfitMs: number }
const usualPace: FitnessPace = { fitMs: 60_000, unfitMs: 10_000 }

/** Whether this host can work: what it cannot work with is not claimed for, and it heals by itself when the cause is gone. */
export function createFitness(options: FitnessOptions): Fitness {
  const { containers, onLooked, onMended, log, signal, pace = usualPace } = options
  const checks = [...options.checks.decisive, ...options.checks.others]
  /** What each has found last, once it has. */
  const verdicts = new Map<Check, readonly Found[]>()
  /** Containers that do not work again until they are started anew, and why. Whatever is found of them meanwhile, they stay so. */
  const broken = new Map<string, Cause>()

  async function look(check: Check): Promise<void> {
    const now = await ask(check)
    if (signal.aborted) return
    const before = verdicts.get(check) ?? []
    verdicts.set(check, now)
    tell(now, before)
    hold()
    onLooked(textOf(before) !== textOf(now))
  }

  function found(): Found[] {
    return checks.flatMap(check => verdicts.get(check) ?? [])
  }

  /** One that throws has a defect, which is no reason to stop working. */
  async function ask(check: Check): Promise<readonly Found[]> {
    return await check().catch((error: unknown) => {
      log.error('A check of this host failed', { error: messageOf(error) })
      return []
    })
  }

  function tell(now: readonly Found[], before: readonly Found[]): void {
    for (const { code, detail, containers } of without(now, before)) {
      // Nothing is held for it, or not so far: who cannot work with it may be found out at a later look.
      const isHarmless = containers?.length === 0
      const event = isHarmless
        ? 'Something is wrong with this host, claiming jobs for all that still works'
        : 'This host is unfit, claiming no jobs for what it cannot do'
      log.warn(event, { code, detail, ...(!isHarmless && { containers: containers?.join(',') ?? 'all' }) })
    }
    for (const { code, detail } of without(before, now)) log.info('This host is fit again', { code, detail })
  }

  function hold(): void {
    const all = found()
    const ids = containers.all().map(({ config }) => config.id)
    for (const id of broken.keys()) if (!ids.includes(id)) broken.delete(id)
    for (const id of ids) {
      const reasons = reasonsFor(id, all)
      const breaking = reasons.find(({ breaks }) => breaks)
      if (breaking !== undefined) broken.set(id, causeIn(breaking))
      const [reason] = reasons
      const cause = broken.get(id)
      if (reason === undefined && cause !== undefined) {
        broken.delete(id)
        onMended(id, cause)
      }
      containers.hold(id, reason ? causeIn(reason) : null)
    }
  }

  return {
    isFit: () =>
      options.checks.decisive.every(check => verdicts.has(check)) &&
      found().every(({ containers }) => containers !== null),
    findings: () =>
      found()
        .slice(0, limits.findings)
        .map(({ code, detail, containers }) => ({
          code,
          detail: detail.slice(0, 512),
          containers: containers?.slice(0, limits.findingContainers) ?? null,
        })),
    loops: checks.map(check => async () => {
      while (!signal.aborted) {
        await look(check)
        await sleep(verdicts.get(check)?.length ? pace.unfitMs : pace.fitMs, signal)
      }
    }),
  }
}

function reasonsFor(id: string, found: readonly Found[]): OfContainers[] {
  return found.filter((one): one is OfContainers => one.containers?.some(held => held === id) ?? false)
}

function causeIn({ code, detail }: OfContainers): Cause {
  return { code, detail }
}

/** Those that are not among the others, whichever containers they are told of: these change while the matter is the same. */
function without(some: readonly Found[], others: readonly Found[]): Found[] {
  return some.filter(one => !others.some(({ code, detail }) => code === one.code && detail === one.detail))
}

function textOf(found: Found | readonly Found[]): string {
  return JSON.stringify(found)
}
