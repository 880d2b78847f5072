import { defineConfig } from 'vitest/config'

const root = new URL('..', import.meta.url).pathname

export default defineConfig({
  root,
  test: {
    // Only with --coverage: `npm run coverage`.
    coverage: {
      include: ['src/protocol/**/*.ts'],
      reporter: ['text'],
      thresholds: { lines: 95, branches: 95, functions: 95, statements: 95 },
    },
    projects: [
      {
        root,
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/{world,e2e,sockets}/**'],
          testTimeout: 20_000,
        },
      },
      {
        root,
        // The built CLI against fake worlds of its own, many times over: in parallel with the others.
        test: { name: 'sockets', include: ['test/sockets/**/*.test.ts'], testTimeout: 180_000 },
      },
      {
        root,
        test: {
          name: 'e2e',
          include: ['test/{world,e2e}/**/*.test.ts'],
          globalSetup: 'test/world/global-setup.ts',
          // One after the other: the servers' request list is one for all of them.
          fileParallelism: false,
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
    ],
  },
})
