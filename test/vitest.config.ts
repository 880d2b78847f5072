import { readdirSync, readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'
import { HANG_MS, isolateFromMachine } from './support/machine.ts'

isolateFromMachine()

const root = fileURLToPath(new URL('..', import.meta.url))
/** One more than processors: a test waits for processes and servers most of its time. Fewer where runs share a machine. */
const WORKERS = Number(process.env['ATPROTO_OAUTH_TEST_WORKERS'] ?? Math.min(availableParallelism() + 1, 4))
/** For what hangs, not for what is slow. */
const LIMITS = { testTimeout: HANG_MS, hookTimeout: HANG_MS, expect: { poll: { timeout: HANG_MS } } }
const files = readdirSync(`${root}test`, { recursive: true, encoding: 'utf8' }).map(
  (file) => `test/${file.replaceAll('\\', '/')}`,
)
/** About what a process has once: work that another file has left in it would take part. */
const OF_PROCESS = ['test/node/signals.test.ts']
/** They change modules for whoever imports them afterwards. */
const MOCKING = files.filter(
  (file) =>
    OF_PROCESS.includes(file) ||
    (file.endsWith('.test.ts') && /\bvi\.(?:do)?mock\(/i.test(readFileSync(root + file, 'utf8'))),
)
const OUTSIDE = 'test/{world,e2e,package,sockets,browser,thorough}/**'
/** What takes minutes: run by its name, and once by CI. */
const THOROUGH = process.argv.includes('thorough')
/** They try more when they are among those. */
const MORE_OF = [
  'test/cli/canary.test.ts',
  'test/node/store/change-encryption.test.ts',
  'test/node/store/encryption-disk.test.ts',
  'test/node/vault/model.test.ts',
  'test/node/vault/model-changes.test.ts',
  'test/node/vault/year.test.ts',
  'test/session/copies.test.ts',
  'test/session/lifetime.test.ts',
]
/** Files that are not run this time. */
const SKIPPED = process.env['ATPROTO_OAUTH_TEST_SKIP']?.split(':') ?? []
/** Long ones among the others, which are run with those. */
const ONCE = [
  // The thorough ones are run on Linux.
  ...(process.platform === 'linux' ? ['test/node/vault/git.test.ts'] : []),
  ...[
    'broken-homes',
    'ci',
    'config',
    'encrypted-elsewhere',
    'encrypted-store',
    'endpoints',
    'front',
    'github-actions-secrets',
    'keepers',
    'many-at-once',
    'no-store',
    'old-copies',
    'run-hostile',
    'run-parallel',
    'run-recipes',
    'sign-in-again',
    'thief',
    'vault-beside',
    'vault-move',
    'vault-redis',
    'vault-rekey',
    'vault-session',
    'vault-thief',
  ].map((name) => `test/e2e/${name}.test.ts`),
]
/** Short files that take long: vitest begins with the largest file, and would have one processor wait for these. */
const LONG = /\/(?:long-running|model|vault-year|year)\.test\.ts$/
class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files)
    const isLong = ({ moduleId }: TestSpecification) => LONG.test(moduleId)
    return [...sorted.filter(isLong), ...sorted.filter((file) => !isLong(file))]
  }
}
/** A real Chromium on the servers' own pages. */
const IN_BROWSER = 'test/browser/sign-in.test.ts'
/** What runs the CLI runs it from the package, packed and installed. */
const PACKAGE = 'test/package/packed.ts'

export default defineConfig({
  root,
  test: {
    maxWorkers: WORKERS,
    sequence: { sequencer: LongFirst },
    // Only with --coverage: `npm run coverage`.
    coverage: {
      include: [
        'src/protocol/**/*.ts',
        'src/login/callback.ts',
        'src/client/{client-id,document-rules,fault,fetch,key-rules}.ts',
      ],
      reporter: ['text'],
      thresholds: { lines: 95, branches: 95, functions: 95, statements: 95 },
    },
    projects: [
      ...(THOROUGH
        ? [
            {
              root,
              test: {
                name: 'thorough',
                include: ['test/thorough/**/*.test.ts', ...MORE_OF, ...ONCE],
                env: { ATPROTO_OAUTH_TEST_THOROUGH: '1' },
                globalSetup: 'test/world/global-setup.ts',
                maxWorkers: WORKERS,
                ...LIMITS,
              },
            },
          ]
        : []),
      ...(THOROUGH || process.argv.includes('sockets')
        ? [
            {
              root,
              // The built CLI against fake worlds of its own, killed at every step.
              test: {
                name: 'sockets',
                include: ['test/sockets/**/*.test.ts'],
                globalSetup: PACKAGE,
                ...LIMITS,
              },
            },
          ]
        : []),
      {
        root,
        test: {
          name: 'e2e',
          include: ['test/{world,e2e,package}/**/*.test.ts', IN_BROWSER],
          exclude: ONCE,
          // A world for each worker: a world's request list is one for all who are in it.
          globalSetup: 'test/world/global-setup.ts', // the package too
          maxWorkers: WORKERS,
          isolate: false,
          ...LIMITS,
        },
      },
      {
        root,
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: [OUTSIDE, ...MOCKING, ...ONCE, ...SKIPPED],
          // A process and its modules for many files: a third of the time was spent on starting and loading.
          isolate: false,
          ...LIMITS,
        },
      },
      {
        root,
        test: { name: 'unit-mocked', include: MOCKING, exclude: [OUTSIDE, ...SKIPPED], ...LIMITS },
      },
      {
        root,
        // A real Chromium.
        test: {
          name: 'browser',
          globalSetup: PACKAGE,
          include: ['test/browser/**/*.test.ts'],
          exclude: [IN_BROWSER],
          ...LIMITS,
        },
      },
    ],
  },
})
