import type { Finding } from '../../protocol/host.ts'
import { limits } from '../../protocol/limits.ts'
import type { Cause } from '../cause.ts'
import type { Containers } from '../containers.ts'
import type { Log } from '../log.ts'
import { sleep } from '../sleep.ts'
import { messageOf } from '../trouble.ts'
import type { Check, Found, OfContainers } from './found.ts'

export type Fitness = {
  /** Whether anything may be claimed at all. */
  isFit(): boolean
  /** As the edge is told. */
  findings(): Finding[]
  /** Looks again and again until its signal aborts. */
  loop(): Promise<void>
}

export type FitnessOptions = {
  checks: readonly Check[]
  containers: Containers
  /** After each look. `isNews`: it has found something else than the one before. */
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
  const { checks, containers, onLooked, onMended, log, signal, pace = usualPace } = options
  let found: readonly Found[] = []
  /** Containers that do not work again until they are started anew, and why. Whatever is found of them meanwhile, they stay so. */
  const broken = new Map<string, Cause>()

  async function look(): Promise<void> {
    const all = await Promise.all(checks.map(ask))
    if (signal.aborted) return
    const before = found
    found = all.flat()
    tell(before)
    hold()
    onLooked(textOf(before) !== textOf(found))
  }

  /** One that throws has a defect, which is no reason to stop working. */
  async function ask(check: Check): Promise<readonly Found[]> {
    return await check().catch((error: unknown) => {
      log.error('A check of this host failed', { error: messageOf(error) })
      return []
    })
  }

  function tell(before: readonly Found[]): void {
    for (const { code, detail, containers } of without(found, before))
      log.warn('This host is unfit, claiming no jobs for what it cannot do', {
        code,
        detail,
        containers: containers?.join(',') ?? 'all',
      })
    for (const { code, detail } of without(before, found))
      log.info('This host is fit again', { code, detail })
  }

  function hold(): void {
    const all = containers.all().map(({ config }) => config.id)
    for (const id of broken.keys()) if (!all.includes(id)) broken.delete(id)
    for (const id of all) {
      const reasons = reasonsFor(id, found)
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
    isFit: () => found.every(({ containers }) => containers !== null),
    findings: () =>
      found.slice(0, limits.findings).map(({ code, detail, containers }) => ({
        code,
        detail: detail.slice(0, 512),
        containers: containers?.slice(0, limits.findingContainers) ?? null,
      })),
    async loop() {
      while (!signal.aborted) {
        await look()
        await sleep(found.length === 0 ? pace.fitMs : pace.unfitMs, signal)
      }
    },
  }
}

function reasonsFor(id: string, found: readonly Found[]): OfContainers[] {
  return found.filter((one): one is OfContainers => one.containers?.some(held => held === id) ?? false)
}

function causeIn({ code, detail }: OfContainers): Cause {
  return { code, detail }
}

function without(some: readonly Found[], others: readonly Found[]): Found[] {
  const texts = new Set(others.map(textOf))
  return some.filter(one => !texts.has(textOf(one)))
}

function textOf(found: Found | readonly Found[]): string {
  return JSON.stringify(found)
}
