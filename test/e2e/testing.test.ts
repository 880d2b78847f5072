/** The programs of docs/testing.md, as a reader copies them: compiled under `strict` against the package, then run. */
import { execFile } from 'node:child_process'
import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { packageFolder } from '../package/packed.ts'
import { blocksToRun } from '../support/blocks.ts'
import { newHome } from './support.ts'

const OURS = fileURLToPath(new URL('../../node_modules', import.meta.url))
const run = promisify(execFile)

test('each program compiles, and its tests pass', async () => {
  const blocks = (await blocksToRun()).filter(({ page }) => page === 'docs/testing.md')
  expect(blocks.map(({ language }) => language)).toStrictEqual(['ts', 'ts', 'ts'])
  const home = await newHome()
  const modules = join(home.path, 'node_modules')
  await mkdir(modules)
  await symlink(packageFolder(), join(modules, 'atproto-oauth'))
  await symlink(join(OURS, '@types'), join(modules, '@types'))
  await writeFile(join(home.path, 'package.json'), '{"type":"module"}')
  const files = blocks.map((_, at) => `program${at}.test.ts`)
  for (const [at, { text }] of blocks.entries()) await writeFile(join(home.path, files[at]!), text)

  const flags = '--module nodenext --target es2023 --strict --exactOptionalPropertyTypes --noUncheckedIndexedAccess'
  const args = [join(OURS, 'typescript', 'bin', 'tsc'), ...flags.split(' '), '--types', 'node', ...files]
  await run(process.execPath, args, { cwd: home.path }).catch(({ stdout }) => expect(stdout).toBe(''))

  const node = process.env['ATPROTO_OAUTH_TEST_NODE'] ?? process.execPath
  const compiled = files.map((file) => file.replace(/ts$/, 'js'))
  const { NODE_TEST_CONTEXT: _, ...env } = process.env
  const tests = await run(node, ['--test', '--test-reporter=tap', ...compiled], { cwd: home.path, env })
  expect(tests.stdout).toMatch(/^# pass 7\n# fail 0$/m)
})
