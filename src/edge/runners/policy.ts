import { sql } from 'drizzle-orm'
import * as v from 'valibot'
import { ContainerPolicy } from '../../protocol/container.ts'
import { type HostLabels, Labels, labelsAt } from '../../protocol/labels.ts'
import { GpuLabels } from '../../protocol/runner.ts'
import type { Db } from '../db/open.ts'
import { schemaVersion, selectSchemaVersion } from '../db/version.ts'
import { wireBytes } from '../db/wire-bytes.ts'
import { chunks } from '../jobs/chunks.ts'

/** A runner's process that was heard of lately and claims: its runner is in mode `run`, and nothing is wrong with its whole host. `ready`: its containers that are, each with the labels that it has there. */
export type LiveInstance = { id: string; runner: string; ready: ReadonlyMap<string, Labels> }

/** Hosts that offer the same containers, each with the same labels. */
export type Fleet = { containers: ReadonlyMap<string, Labels> }

/** What admission goes by: the strictest of what all enrolled runners say, per container. */
export type MergedPolicy = {
  id: string
  description: string
  image: string
  external: boolean
  generatesProofs: boolean
  openai: boolean
  /** A list for each runner: an address must be on all of them; an empty list admits everyone. */
  allowedIps: readonly (readonly string[])[]
  /** The same of who asks on-chain, and of those in whose name somebody signs. In lower case. */
  allowedAddresses: readonly (readonly string[])[]
  allowedDelegateAddresses: readonly (readonly string[])[]
  /** Takes delegated subscriptions only whose data is signed as well. */
  signedData: boolean
  /** The least to be paid, in base units, by token in lower case; another token is not accepted. Null: any payment, or none. */
  acceptedPayments: ReadonlyMap<string, bigint> | null
}

export type PolicySnapshot = {
  epoch: number
  schema: 'current' | 'outdated'
  /** Public keys, base64url, of enrolled and not revoked runners, by id. */
  keys: ReadonlyMap<string, string>
  containers: ReadonlyMap<string, MergedPolicy>
  /** By each container that they offer. */
  fleets: ReadonlyMap<string, readonly Fleet[]>
  live: readonly LiveInstance[]
  loadedAt: number
}

export type PolicyCache = {
  /** A snapshot at most `maxAgeMs` old (default 5 s; a second more while another request loads the next): enough to admit by, since what is stored names its epoch. */
  read(maxAgeMs?: number): Promise<PolicySnapshot>
  /** The policy of this moment, for one small statement when it has not changed: what refusals go by. */
  readCurrent(): Promise<PolicySnapshot>
}

/** How long a silent instance counts as online: two heartbeats and a half, or two long polls. */
const liveMs = 60_000
const defaultMaxAgeMs = 5_000
/** How long one load may hold off others. */
const loadingMs = 1_000
/** Of what all instances say of their containers: a SQL response stays below 4 MiB, whatever they say. 1,000 with 40 each fit. */
const maxReadyBytes = 1024 * 1024

/**
 * The policy, kept for seconds in this isolate. What is stored under it names its epoch, so an old snapshot can delay an
 * admission by a round trip but never decide it.
 */
export function createPolicyCache({ db, now }: { db: Db; now(): number }): PolicyCache {
  let snapshot: PolicySnapshot | undefined
  let loadingSince = Number.NEGATIVE_INFINITY
  const load = async () => {
    loadingSince = now()
    snapshot = await loadPolicy(db, loadingSince)
    loadingSince = Number.NEGATIVE_INFINITY
    return snapshot
  }
  return {
    async read(maxAgeMs = defaultMaxAgeMs) {
      if (snapshot !== undefined && now() - snapshot.loadedAt <= maxAgeMs) return snapshot
      // One request loads, which may be killed; a thousand that come meanwhile make do with what there is.
      const isLoading = now() - loadingSince < loadingMs
      return snapshot !== undefined && isLoading && now() - snapshot.loadedAt <= maxAgeMs + loadingMs
        ? snapshot
        : await load()
    },
    async readCurrent() {
      if (snapshot === undefined) return await load()
      const [row] = await db.orm.all<{ epoch: number }>(selectEpoch)
      return row?.epoch === snapshot.epoch ? snapshot : await load()
    },
  }
}

const selectEpoch = sql`select epoch from policy`

type RunnerRow = { id: string; public_key: string; bytes: number }
/** Labels: where they are others than its runner's. */
type InstanceRow = {
  id: string
  runner: string
  ready: string
  labels: string | null
  gpu_labels: string | null
}

async function loadPolicy(db: Db, loadedAt: number): Promise<PolicySnapshot> {
  const { orm, now } = db
  const [versions, epochs, runners, instances] = await orm.batch([
    selectSchemaVersion(db),
    orm.all<{ epoch: number }>(selectEpoch),
    orm.all<RunnerRow>(
      sql`select id, public_key, ${wireBytes(sql`containers`)} + ${wireBytes(sql`labels`)} + ${wireBytes(sql`gpu_labels`)} as bytes from runners where revoked_at is null limit 1000`,
    ),
    orm.all<InstanceRow>(sql`
      select id, runner, ready, labels, gpu_labels from (
        select *, sum(${wireBytes(sql`ready`)} + ${wireBytes(sql`labels`)} + ${wireBytes(sql`gpu_labels`)}) over (order by last_seen_at desc, id) as total
        from (
          select i.id, i.runner, i.ready, i.last_seen_at, nullif(i.labels, r.labels) as labels, nullif(i.gpu_labels, r.gpu_labels) as gpu_labels
          from instances as i join runners as r on r.id = i.runner
          where i.last_seen_at > ${now} - ${liveMs} and r.mode = 'run' and r.revoked_at is null
            and not exists (
              select 1 from json_each(coalesce(i.host, '{}'), '$.findings') as finding where finding.value ->> 'containers' is null)))
      where total <= ${maxReadyBytes} limit 1000`),
  ])
  // Read after the epoch: a policy that changes in between belongs to a later one, which the next insert will find.
  const offers: Offer[] = []
  for (const group of chunks(runners, runner => runner.bytes)) offers.push(...(await readOffers(db, group)))
  const byRunner = new Map(offers.map(offer => [offer.runner, offer]))
  const live = instances.flatMap(row => {
    const offer = byRunner.get(row.runner)
    return offer ? [{ row, offer: offerOf(row, offer) }] : []
  })
  return {
    epoch: epochs[0]?.epoch ?? 0,
    schema: (versions[0]?.version ?? 0) < schemaVersion ? 'outdated' : 'current',
    keys: new Map(runners.map(runner => [runner.id, runner.public_key])),
    containers: mergePolicies(offers.map(offer => offer.containers)),
    fleets: fleetsOf([...offers, ...live.map(({ offer }) => offer)]),
    live: live.map(({ row, offer }) => liveInstance(row, offer)),
    loadedAt,
  }
}

type Offer = { runner: string; containers: ContainerPolicy[]; host: HostLabels }

const Containers = v.array(ContainerPolicy)

/** What these runners have registered. One that an older version stored, and this one cannot read, counts as offering nothing. */
async function readOffers({ orm }: Db, runners: readonly RunnerRow[]): Promise<Offer[]> {
  const ids = JSON.stringify(runners.map(({ id }) => id))
  const rows = await orm.all<{ id: string; containers: string; labels: string; gpu_labels: string }>(
    sql`select id, containers, labels, gpu_labels from runners where id in (select value from json_each(${ids}))`,
  )
  return rows.map(row => {
    const containers = v.safeParse(Containers, JSON.parse(row.containers))
    return {
      runner: row.id,
      containers: containers.success ? containers.output : [],
      host: { labels: labelsIn(row.labels), gpu_labels: gpuLabelsIn(row.gpu_labels) },
    }
  })
}

/** What one of the runner's processes offers, which may run on another host. */
function offerOf({ labels, gpu_labels }: InstanceRow, offer: Offer): Offer {
  if (labels === null && gpu_labels === null) return offer
  return {
    ...offer,
    host: {
      labels: labels === null ? offer.host.labels : labelsIn(labels),
      gpu_labels: gpu_labels === null ? offer.host.gpu_labels : gpuLabelsIn(gpu_labels),
    },
  }
}

function labelsIn(text: string): Labels {
  const labels = v.safeParse(Labels, JSON.parse(text))
  return labels.success ? labels.output : {}
}

function gpuLabelsIn(text: string): HostLabels['gpu_labels'] {
  const labels = v.safeParse(GpuLabels, JSON.parse(text))
  return labels.success ? labels.output : []
}

/** A fleet has few kinds of hosts, so this is small where policies are many. */
function fleetsOf(offers: readonly Offer[]): Map<string, Fleet[]> {
  const fleets = new Map<string, Fleet>()
  for (const { host, containers } of new Set(offers)) {
    const ids = containers.map(({ id }) => id).toSorted()
    fleets.set(JSON.stringify([host, ids]), { containers: new Map(ids.map(id => [id, labelsAt(host, id)])) })
  }
  const byContainer = new Map<string, Fleet[]>()
  for (const fleet of fleets.values())
    for (const container of fleet.containers.keys()) {
      const others = byContainer.get(container)
      if (others) others.push(fleet)
      else byContainer.set(container, [fleet])
    }
  return byContainer
}

function liveInstance({ id, runner, ready }: InstanceRow, { host }: Offer): LiveInstance {
  const containers = JSON.parse(ready) as string[]
  return { id, runner, ready: new Map(containers.map(container => [container, labelsAt(host, container)])) }
}

/** The strictest wins: AND of flags, every runner's allow-lists, the tokens that all accept at the highest price. */
export function mergePolicies(byRunner: readonly (readonly ContainerPolicy[])[]): Map<string, MergedPolicy> {
  const merged = new Map<string, MergedPolicy>()
  for (const container of byRunner.flat()) {
    const other = merged.get(container.id)
    merged.set(container.id, {
      id: container.id,
      description: other?.description || container.description,
      image: other?.image || container.image,
      external: container.external && (other?.external ?? true),
      generatesProofs: container.generates_proofs && (other?.generatesProofs ?? true),
      openai: container.openai && (other?.openai ?? true),
      allowedIps: [...(other?.allowedIps ?? []), container.allowed_ips],
      allowedAddresses: [...(other?.allowedAddresses ?? []), lowerCased(container.allowed_addresses)],
      allowedDelegateAddresses: [
        ...(other?.allowedDelegateAddresses ?? []),
        lowerCased(container.allowed_delegate_addresses),
      ],
      signedData: container.signed_data || (other?.signedData ?? false),
      acceptedPayments: strictest(other?.acceptedPayments ?? null, pricesOf(container)),
    })
  }
  return merged
}

function lowerCased(addresses: readonly string[]): string[] {
  return addresses.map(address => address.toLowerCase())
}

/** What a runner wants for a container; null: anything. Of one token written in two ways the higher price counts. */
function pricesOf({ accepted_payments }: ContainerPolicy): ReadonlyMap<string, bigint> | null {
  const prices = new Map<string, bigint>()
  for (const [token, least] of Object.entries(accepted_payments)) raise(prices, token, BigInt(least))
  return prices.size === 0 ? null : prices
}

/** Tokens that both accept, at the higher price. None may be left: then no payment is accepted. */
function strictest(
  one: ReadonlyMap<string, bigint> | null,
  other: ReadonlyMap<string, bigint> | null,
): ReadonlyMap<string, bigint> | null {
  if (one === null || other === null) return one ?? other
  const both = new Map<string, bigint>()
  for (const [token, least] of [...one, ...other]) {
    if (one.has(token) && other.has(token)) raise(both, token, least)
  }
  return both
}

function raise(prices: Map<string, bigint>, token: string, least: bigint): void {
  const key = token.toLowerCase()
  const before = prices.get(key)
  if (before === undefined || before < least) prices.set(key, least)
}
