import { defineConfig } from 'vitest/config'

/** A second, as without this, is less than a machine that others share may stand still. */
const waits = { poll: { timeout: 60_000 } }

/**
 * `fast` runs in `npm test`: no network, no other servers. `slow` holds the kill, browser
 * and peer tests that `.ci/run` adds; `services` starts Kafka, a registry, MongoDB's protocol and S3 by itself. */
export default defineConfig({
  test: {
    // The default leaves a core free, and of two that is half: these tests wait more than they compute.
    maxWorkers: '100%',
    projects: [
      {
        test: {
          name: 'fast',
          // What hangs is ended; what is slow on a machine with much else to do is not.
          expect: waits,
          include: ['**/*.test.ts'],
          exclude: ['**/*.slow.test.ts', '**/*.services.test.ts', 'node_modules/**', 'web/dist/**'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          pool: 'forks',
        },
      },
      {
        test: {
          name: 'slow',
          expect: waits,
          include: ['**/*.slow.test.ts'],
          exclude: ['node_modules/**'],
          testTimeout: 900_000,
          hookTimeout: 120_000,
          pool: 'forks',
          fileParallelism: false,
        },
      },
      {
        test: {
          name: 'services',
          expect: waits,
          include: ['**/*.services.test.ts'],
          exclude: ['node_modules/**'],
          testTimeout: 900_000,
          hookTimeout: 300_000,
          pool: 'forks',
          fileParallelism: false,
        },
      },
    ],
  },
})
