import * as v from 'valibot'
import { ContainerId, policyLimits } from '../../protocol/container.ts'
import { dictionary } from '../../protocol/dictionary.ts'
import { limits } from '../../protocol/limits.ts'
import { AllowedAddresses, AllowedIps, EvmAddress } from './allowed.ts'
import { containerEntries, rootEntries } from './confinement.ts'
import { amount, atMost, flag, httpUrl, integer, seconds, text, texts } from './fields.ts'
import { GpuChoice } from './gpu.ts'
import { ConfiguredLabels } from './labels.ts'
import { ListenText } from './listen.ts'

const object = 'must be an object in braces'
const HttpErrors = v.picklist(['failure', 'success'], 'must be "failure" or "success"')
const Pull = v.picklist(['missing', 'always'], 'must be "missing" or "always"')
const Api = v.picklist(['infernet', 'cog'], 'must be "infernet" or "cog"')
const UrlPath = v.pipe(text, v.regex(/^\/[^\s#]*$/, 'must be a path that begins with /'))
const Slots = integer(1, 1024)
const Timeout = seconds(24 * 3600)

/** One element of `containers`: the reference's keys with its defaults (node page, section 3), then ours. */
export const ContainerEntry = v.object(
  {
    id: ContainerId,
    image: v.optional(atMost(policyLimits.imageChars), ''),
    url: v.optional(
      v.union([v.literal(''), httpUrl], 'must be an http:// or https:// URL without user name and password'),
      '',
    ),
    bearer: v.optional(text, ''),
    api: v.optional(Api, 'infernet'),
    inner_port: v.optional(integer(1, 65535)),
    health: v.optional(UrlPath),
    connect_timeout: v.optional(seconds(300), 10),
    port: v.optional(integer(1, 65535), 3000),
    external: v.optional(flag, true),
    gpu: v.optional(GpuChoice, false),
    accepted_payments: v.optional(dictionary(EvmAddress, amount, object), {}),
    allowed_ips: v.optional(AllowedIps, []),
    allowed_addresses: v.optional(AllowedAddresses, []),
    allowed_delegate_addresses: v.optional(AllowedAddresses, []),
    description: v.optional(atMost(policyLimits.descriptionChars), ''),
    command: v.optional(text, ''),
    env: v.optional(
      dictionary(
        v.string(),
        v.pipe(
          v.union([v.string(), v.number(), v.boolean()], 'must be text or a number'),
          v.transform(String),
        ),
        object,
      ),
      {},
    ),
    generates_proofs: v.optional(flag, false),
    openai: v.optional(flag, false),
    signed_data: v.optional(flag, false),
    volumes: v.optional(texts, []),

    slots: v.optional(Slots),
    http_errors: v.optional(HttpErrors),
    timeout: v.optional(Timeout),
    pull_timeout: v.optional(Timeout),
    start_timeout: v.optional(Timeout),
    ready_timeout: v.optional(Timeout),
    pull: v.optional(Pull),
    ...containerEntries,
  },
  object,
)
export type ContainerEntry = v.InferOutput<typeof ContainerEntry>

/** `config.json`. Cross-field rules are in `rules.ts`, keys that we do not read in `unread.ts`. */
export const ConfigFile = v.object(
  {
    edge: v.object(
      {
        url: httpUrl,
        key_file: v.pipe(text, v.minLength(1, 'must name the file of the private key')),
        audience: v.optional(httpUrl),
      },
      object,
    ),
    labels: v.optional(ConfiguredLabels, {}),
    manage_containers: v.optional(flag, true),
    docker: v.optional(v.object({ username: text, password: text }, object)),
    containers: v.optional(
      v.pipe(
        v.array(ContainerEntry, 'must be a list of containers in brackets'),
        v.maxLength(limits.containersPerRunner, `must have at most ${limits.containersPerRunner} containers`),
      ),
      [],
    ),

    slots: v.optional(Slots, 1),
    http_errors: v.optional(HttpErrors, 'failure'),
    timeout: v.optional(Timeout, 180),
    pull_timeout: v.optional(Timeout, 3600),
    start_timeout: v.optional(Timeout, 60),
    ready_timeout: v.optional(Timeout, 600),
    pull: v.optional(Pull, 'missing'),
    keep_running: v.optional(flag, false),
    ...rootEntries,
    drain_timeout: v.optional(Timeout, 60),
    stream_part: v.optional(seconds(limits.streamPartMs / 1000), limits.streamPartMs / 1000),
    spool: v.optional(v.pipe(text, v.minLength(1, 'must name a directory')), '.infernet-runner'),
    min_free_disk: v.optional(integer(0, 2 ** 50), 256 * 1024 ** 2),
    listen: v.optional(ListenText, '127.0.0.1:4001'),
    spool_max_bytes: v.optional(integer(1024 * 1024, 2 ** 50), 1024 ** 3),
  },
  object,
)
export type ConfigFile = v.InferOutput<typeof ConfigFile>
