import { defaultExclude, defineConfig } from 'vitest/config'
import { leanHeap } from './src/host/lean-heap.ts'
import { alone } from './test/alone.ts'

/** The edge's tests that go through its door, and run on every host. */
const door = [
  'batch',
  'bytes',
  'claim-wait',
  'create',
  'delegated',
  'delegated-refusals',
  'hosts',
  'jobs',
  'large',
  'ledger',
  'list',
  'node',
  'once',
  'openai',
  'openapi',
  'outage',
  'read',
  'refusals',
  'runner-auth',
  'runner-protocol',
  'stream',
  'stream-cap',
  'stream-ends',
  'subscriptions',
  'terms',
  'wait',
]
/** Those of the queue's statements, which also run on a database file through the engine in the process. */
const queue = [
  'queue-bounds',
  'queue-claim',
  'queue-finish',
  'queue-labels',
  'queue-model',
  'queue-sweep',
  'queue-table',
]

const files = (names: readonly string[]) => names.map(name => `test/edge/${name}.test.ts`)

export default defineConfig({
  test: {
    // Real servers start in most files: a file's own processes share two cores with those of its neighbours.
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // A condition that is waited for is no bound: where one is meant, its test says how long.
    expect: { poll: { timeout: 10_000 } },
    maxWorkers: 3,
    // Files share a process and what they stand on: to load viem, drizzle and the edge anew for each of three hundred took a quarter of
    // the processors' time.
    isolate: false,
    // Stories that run side by side mostly wait, for leases to lapse.
    maxConcurrency: 12,
    // No test waits for a download: the chat container serves random weights.
    env: { CHAT_MODEL: 'tiny' },
    projects: [
      {
        extends: true,
        test: {
          name: 'workerd',
          include: ['test/**/*.test.ts'],
          exclude: [...defaultExclude, ...alone],
          globalSetup: 'test/support/workerd-setup.ts',
        },
      },
      { extends: true, test: { name: 'alone', include: alone, isolate: true } },
      {
        extends: true,
        test: {
          name: 'node',
          include: files([...door, ...queue]),
          env: { EDGE_HOST: 'node' },
          // The host is this process, and is started as operators start it.
          execArgv: [leanHeap],
        },
      },
      { extends: true, test: { name: 'deno', include: files(door), env: { EDGE_HOST: 'deno' } } },
    ],
  },
})
