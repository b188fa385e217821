import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Real servers start in most files: a file's own processes share two cores with those of its neighbours.
    testTimeout: 30_000,
    hookTimeout: 60_000,
    maxWorkers: 2,
    // Stories that run side by side mostly wait, for leases to lapse.
    maxConcurrency: 12,
  },
})
