/**
 * How the tests run: each file in a process of its own, three at a time: most of them start a daemon,
 * many wait for something to run out, and the machines they run on are small.
 */
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    pool: 'forks',
    maxWorkers: 3,
    // Far more than anything takes: machines that run tests do other things at the same time.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 45_000 } },
  },
})
