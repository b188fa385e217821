/** Bounds that both ends of a wire rely on. Sizes are bytes, times are milliseconds. */
export const limits = {
  /** An HTTP request body, whole (the reference's cap). */
  bodyBytes: 16 * 1024 * 1024,
  /** Payloads up to this size live on the job's own row; larger ones live in parts. */
  inlineBytes: 64 * 1024,
  /**
   * One stored part of a payload. 20 jobs of 16 MiB in and out at once make the edge grow by 112 MiB with it, by 176 MiB with twice
   * as much, at the same pace (`npm run bench -- large`).
   */
  partBytes: 256 * 1024,
  /** Output of a stream that the edge holds in memory for readers that are behind. */
  streamWindowBytes: 256 * 1024,
  /** Output of a stream reaches the database after so much of it, or so long. */
  streamStoreBytes: 256 * 1024,
  streamStoreMs: 1_000,
  /** Of one request that uploads a part of a stream. Platforms bound bodies. */
  streamPartBytes: 32 * 1024 * 1024,
  /** How long a runner keeps such a request open. */
  streamPartMs: 30_000,
  /** Readers of one stream at once. */
  streamReaders: 64,
  /** How long a container may send nothing, from its first byte on. */
  streamIdleMs: 60_000,
  /** Between two comments in a stream of events: proxies close what is silent. */
  streamCommentMs: 15_000,
  /** A stream's client may come back within so long before its job is cancelled. */
  streamLeaveMs: 1_000,
  /** A container's whole reply, and so the largest result. */
  resultBytes: 64 * 1024 * 1024,
  /** Input bytes that one claim answer may carry inline, all jobs together. */
  claimInlineBytes: 1024 * 1024,
  /** `data` of a delegated subscription, which is kept with it. */
  delegatedDataBytes: 1024 * 1024,
  /** All fields of a job request other than `data`, together. */
  fieldBytes: 64 * 1024,
  /** Nesting of a JSON body. Python's own parser, in most containers, gives up near 1,000. */
  jsonDepth: 512,
  /** Longest run that a job may ask for. */
  timeoutSeconds: 24 * 3600,
  /** Longest time in the queue that a job may ask for. */
  expirySeconds: 7 * 24 * 3600,
  /** Priorities go from minus this to this. */
  priority: 10,
  /** Longest wait for a job's end in one request. */
  waitSeconds: 25,
  /** Of an `Idempotency-Key`, in characters. */
  idempotencyKeyLength: 255,
  idempotencyMs: 24 * 3600 * 1000,
  batchItems: 100,
  chainContainers: 10,
  readIds: 100,
  readBytes: 8 * 1024 * 1024,
  listIds: 1000,
  containersPerRunner: 256,
  /** Policies of one runner's containers, as JSON, in UTF-16 units. */
  policyBytes: 256 * 1024,
  /** GPUs that a host tells of, things that are wrong with it, and containers that one of these names. */
  gpusPerHost: 32,
  findings: 8,
  findingContainers: 16,
  /** Labels of a host, as JSON, in UTF-16 units. */
  labelChars: 8 * 1024,
  /** Labels of all its containers' GPUs, the same. */
  gpuLabelChars: 32 * 1024,
  claimJobs: 64,
  holding: 1024,
  reportResults: 64,
  /** A runner's JSON request other than a part. 64 results of 64 KiB, escaped, fit. */
  runnerBodyBytes: 16 * 1024 * 1024,
  /** Values in a runner's JSON request. The largest that is right, a policy of 256 KiB, has 30,000 with addresses in all its lists. */
  jsonValues: 65_536,
  /** Any other JSON request. */
  smallBodyBytes: 64 * 1024,
  claimWaitMs: 25_000,
  /** Longest life of a runner's token. */
  tokenMs: 60_000,
  /** How far the clocks of a runner and the edge may be apart. */
  clockToleranceMs: 10_000,
} as const
