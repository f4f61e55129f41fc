/**
 * How the tests run: each file in a process of its own, two at a time, because most of them start a
 * daemon and the machines they run on are small.
 */
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    pool: 'forks',
    maxWorkers: 2,
    // Far more than anything takes: machines that run tests do other things at the same time.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 45_000 } },
  },
})
