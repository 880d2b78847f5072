/** What is kept of the compiled program from one run to the next. */
import { chmod, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { type Home, runCli } from '../world/cli.ts'
import { newHome } from './support.ts'

/** A response that needs no server. */
async function list(home: Home, env: Record<string, string> = {}, text = 'createRecord') {
  const cache = { XDG_CACHE_HOME: join(home.path, 'cache'), ...env }
  const { code, stdout } = await runCli(['call', '--list', text], { home, env: cache })
  expect(stdout).toContain('com.atproto.repo.createRecord')
  expect(code).toBe(0)
}

/** The files, which lie in a folder for each version of Node. */
async function cached(home: Home): Promise<string[]> {
  const folder = join(home.path, 'cache', 'atproto-oauth')
  const names = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => [])
  return names.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
}

describe('compiled code', () => {
  test('is used by the next run, in a folder of the user’s own; a damaged file is replaced', async () => {
    const home = await newHome()
    await list(home)
    const files = await cached(home)
    const names = files.map((file) => file.split(/[\\/]/).at(-1)).sort()
    expect(names).toStrictEqual([
      'call-cli-parser',
      'call-rare-cli',
      'call-rare-core',
      'call-warm-cli',
      'call-warm-core',
    ])
    expect((await stat(join(home.path, 'cache', 'atproto-oauth'))).mode & 0o777).toBe(0o700)
    const times = () => Promise.all(files.map(async (file) => (await stat(file)).mtimeMs))
    const before = await times()
    await list(home)
    expect(await times()).toStrictEqual(before)

    const lengths = await Promise.all(files.map(async (file) => (await stat(file)).size))
    for (const damage of [
      (bytes: Buffer) => bytes.fill(0xff, 1000, 2000),
      (bytes: Buffer) => bytes.fill(0xff, 1000),
      (bytes: Buffer) => bytes.subarray(0, 1000),
      () => Buffer.alloc(0),
      () => Buffer.alloc(5000, 'x'),
    ]) {
      for (const file of files) await writeFile(file, damage(await readFile(file)))
      await list(home)
      for (const [index, file] of files.entries()) expect((await stat(file)).size).toBeGreaterThan(lengths[index]! / 2)
    }
  })

  test('of another installation, or of another command, is not used', async () => {
    const home = await newHome()
    await list(home)
    const [file] = await cached(home)
    const code = await readFile(file!)
    await runCli(['config', 'list'], { home, env: { XDG_CACHE_HOME: join(home.path, 'cache') } })
    expect((await cached(home)).some((path) => /[\\/]config-/.test(path))).toBe(true)
    expect((await readFile(file!)).equals(code)).toBe(true)
  })

  test('is not kept of a command that failed', async () => {
    const home = await newHome()
    const { code } = await runCli(['nonsense'], { home, env: { XDG_CACHE_HOME: join(home.path, 'cache') } })
    expect(code).toBe(2)
    expect(await cached(home)).toStrictEqual([])
  })

  test('is done without where others could write, where nothing can be made, and in CI', async () => {
    const home = await newHome()
    await mkdir(join(home.path, 'cache', 'atproto-oauth'), { recursive: true })
    await chmod(join(home.path, 'cache', 'atproto-oauth'), 0o777)
    await list(home)
    expect(await cached(home)).toStrictEqual([])
    await list(home, { XDG_CACHE_HOME: '/proc/none' })
    const other = await newHome()
    await list(other, { CI: 'true' })
    expect(await cached(other)).toStrictEqual([])
  })
})
