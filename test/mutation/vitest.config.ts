import { defineConfig } from 'vitest/config'

const root = new URL('../..', import.meta.url).pathname

// What judges the protocol. Without the properties: one that fails looks long for its smallest example.
export default defineConfig({
  root,
  test: {
    include: [
      'test/protocol/**/*.test.ts',
      'test/login/callback*.test.ts',
      'test/client/{client-id,document-rules}.test.ts',
    ],
    testTimeout: 20_000,
  },
})
