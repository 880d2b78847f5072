/** What Node keeps of the compiled program from one run to the next, where it can (22.8). */
import { chmod, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import module from 'node:module'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { type Home, runCli } from '../world/cli.ts'
import { connectWorld } from '../world/world.ts'
import { newHome } from './support.ts'

connectWorld()

/** Nothing is stored: a response that needs no server. */
async function status(home: Home, env: Record<string, string> = {}) {
  const { code, stderr } = await runCli(['status'], { home, env: { XDG_CACHE_HOME: join(home.path, 'cache'), ...env } })
  expect(stderr).toMatch(/^.*: warning: development mode.*\n.*\[SESSION_MISSING\]\n.*: hint: .*\n$/)
  expect(code).toBe(5)
}

/** The files, which lie in a folder for each version of Node. */
async function cached(home: Home): Promise<string[]> {
  const folder = join(home.path, 'cache', 'atproto-oauth')
  const names = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => [])
  return names.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
}

describe.runIf('enableCompileCache' in module)('the compile cache', () => {
  test('is used by the next run, in a folder of the user’s own; one that is damaged does no harm', async () => {
    const home = await newHome()
    await status(home)
    const files = await cached(home)
    expect(files.length).toBeGreaterThan(5)
    expect((await stat(join(home.path, 'cache', 'atproto-oauth'))).mode & 0o777).toBe(0o700)
    const times = await Promise.all(files.map(async (file) => (await stat(file)).mtimeMs))
    await status(home)
    expect(await Promise.all(files.map(async (file) => (await stat(file)).mtimeMs))).toStrictEqual(times)

    const [first, second, ...others] = files
    await writeFile(first!, '')
    await writeFile(second!, 'x'.repeat(5000))
    for (const file of others) {
      const bytes = await readFile(file)
      await writeFile(file, bytes.fill(0xff, bytes.length / 2))
    }
    await status(home)
    expect((await readFile(first!)).length).toBeGreaterThan(0)
  })

  test('is done without where others could write, where nothing can be made, and in CI', async () => {
    const home = await newHome()
    await mkdir(join(home.path, 'cache', 'atproto-oauth'), { recursive: true })
    await chmod(join(home.path, 'cache', 'atproto-oauth'), 0o777)
    await status(home)
    expect(await cached(home)).toStrictEqual([])
    await status(home, { XDG_CACHE_HOME: '/proc/none' })
    const other = await newHome()
    await status(other, { CI: 'true' })
    expect(await cached(other)).toStrictEqual([])
  })
})
