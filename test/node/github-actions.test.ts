import { execFileSync } from 'node:child_process'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { OAuthError } from '../../src/errors.ts'
import { githubTargets, writeGithub } from '../../src/node/github-actions.ts'
import { failure } from '../support/failure.ts'
import { masked, readByRunner } from '../support/runner-files.ts'
import { hasTinyDisk, onTinyDisk, startNode, tempFolder } from './helpers.ts'

const ENTRIES = [
  ['TOKEN', 'plain'],
  ['CLIENT_ID', 'http://localhost?scope=atproto%20a&redirect_uri=x%0Ay%25'],
  ['JWK', '{"d":"secret-d"}'],
  ['ODD', 'end-\nODD<<x\r\nA=b\n<<'],
  ['EMPTY', ''],
] as const

async function written(entries: readonly (readonly [string, string])[], before = '') {
  const path = join(await tempFolder(), 'env')
  await writeFile(path, before)
  let stdout = ''
  let atFirstMask: string | undefined
  await writeGithub(entries, ['secret-d'], [path], async (text) => {
    atFirstMask ??= await readFile(path, 'utf8')
    stdout += text
  })
  return { stdout, atFirstMask, text: await readFile(path, 'utf8') }
}

describe('writeGithub', () => {
  test('every value comes back from the file byte for byte', async () => {
    expect(readByRunner((await written(ENTRIES)).text)).toStrictEqual(Object.fromEntries(ENTRIES))
  })

  test('every value and part is masked, byte for byte, and by commands of one line each', async () => {
    const { stdout } = await written(ENTRIES)
    expect(masked(stdout).sort()).toStrictEqual(
      [...ENTRIES.map(([, value]) => value), 'secret-d'].filter(Boolean).sort(),
    )
    expect(
      stdout
        .split('\n')
        .slice(0, -1)
        .every((line) => line.startsWith('::add-mask::')),
    ).toBe(true)
  })

  test('values that are no secrets are not masked', async () => {
    const path = join(await tempFolder(), 'env')
    let stdout = ''
    const print = async (text: string) => {
      stdout += text
    }
    await writeGithub(ENTRIES, ['secret-d'], [path], print, (name) => name === 'TOKEN')
    expect(masked(stdout)).toStrictEqual(['plain', 'secret-d'])
    expect(readByRunner(await readFile(path, 'utf8'))).toStrictEqual(Object.fromEntries(ENTRIES))
  })

  test('masks come before any file has a value', async () => {
    expect(await written(ENTRIES, 'BEFORE=1\n')).toMatchObject({ atFirstMask: 'BEFORE=1\n' })
  })

  test('masks that cannot be printed: no file has a value', async () => {
    const path = join(await tempFolder(), 'env')
    const closed = () => Promise.reject(new Error('stdout is closed'))
    await expect(writeGithub(ENTRIES, [], [path], closed)).rejects.toThrow('closed')
    await expect(readFile(path)).rejects.toThrow('ENOENT')
  })

  test.each(['BEFORE=1\n', 'BEFORE=1'])('after %j of an earlier command', async (before) => {
    const { text } = await written([['TOKEN', 'plain']], before)
    expect(readByRunner(text)).toStrictEqual({ BEFORE: '1', TOKEN: 'plain' })
  })

  test('the end of a value is not to be guessed: another one each time', async () => {
    const ends = await Promise.all([1, 2].map(async () => /<<(\S+)/.exec((await written(ENTRIES)).text)![1]!))
    expect(new Set(ends).size).toBe(2)
    for (const end of ends) expect(end).toMatch(/[0-9a-f-]{36}$/)
  })

  test('each file gets all of it', async () => {
    const home = await tempFolder()
    const files = ['env', 'output'].map((name) => join(home, name))
    await writeGithub([['TOKEN', 'plain']], [], files, async () => undefined)
    for (const file of files) expect(readByRunner(await readFile(file, 'utf8'))).toStrictEqual({ TOKEN: 'plain' })
  })

  test('a file that cannot be written: none has a value, and what was in them stays', async () => {
    const home = await tempFolder()
    const env = join(home, 'env')
    await writeFile(env, 'BEFORE=1\n')
    await mkdir(join(home, 'output'))
    const error = await failure(writeGithub(ENTRIES, [], [env, join(home, 'output')], async () => undefined))
    expect(error).toMatchObject({ code: 'OUTPUT_FAILED', message: `cannot write ${home}/output: is a directory` })
    expect(await readFile(env, 'utf8')).toBe('BEFORE=1\n')
  })

  test.runIf(hasTinyDisk())('a disk with room for a part of a value: the file is as it was', async () => {
    const home = await tempFolder()
    const code = `
      import { readFile, writeFile } from 'node:fs/promises'
      const { writeGithub } = await import(process.env.SRC + 'node/github-actions.ts')
      const path = process.argv[1] + '/env'
      await writeFile(path, 'BEFORE=1\\n')
      const entries = [['TOKEN', 'x'.repeat(1024 * 1024)]]
      console.log(await writeGithub(entries, [], [path], async () => undefined).catch(({ code }) => code))
      console.log(await readFile(path, 'utf8'))`
    const { stdout, stderr } = await startNode(code, [home], onTinyDisk(home)).ended
    expect({ stdout, stderr }).toStrictEqual({ stdout: 'OUTPUT_FAILED\nBEFORE=1\n\n', stderr: '' })
  })
})

describe('githubTargets', () => {
  test.each([
    [{ GITHUB_ENV: 'e', GITHUB_OUTPUT: 'o' }, ['e', 'o']],
    [{ GITHUB_ENV: 'e', GITHUB_OUTPUT: '' }, ['e']],
    [{ GITHUB_OUTPUT: 'o' }, ['o']],
    [{ GITHUB_ENV: 'same', GITHUB_OUTPUT: 'same' }, ['same']],
  ])('%j', async (names, expected) => {
    const home = await tempFolder()
    const environment = Object.fromEntries(Object.entries(names).map(([key, name]) => [key, name && join(home, name)]))
    expect(githubTargets(environment)).toStrictEqual(expected.map((name) => join(home, name)))
  })

  test('a file that cannot be written is refused, and what is in one that can stays', async () => {
    const home = await tempFolder()
    const [env, pipe] = [join(home, 'env'), join(home, 'pipe')]
    await writeFile(env, 'BEFORE=1\n')
    expect(githubTargets({ GITHUB_ENV: env })).toStrictEqual([env])
    expect(await readFile(env, 'utf8')).toBe('BEFORE=1\n')
    execFileSync('mkfifo', [pipe]) // nobody reads it: opening it must not wait
    for (const path of ['/proc/none', home, pipe]) {
      const attempt = () => githubTargets({ GITHUB_ENV: env, GITHUB_OUTPUT: path })
      expect(attempt).toThrow(expect.objectContaining({ code: 'USAGE', message: expect.stringContaining(path) }))
    }
  })

  test.each([{}, { GITHUB_ENV: '', GITHUB_OUTPUT: '' }, { GITHUB_ACTIONS: 'true' }])('refuses %j', (environment) => {
    expect(() => githubTargets(environment)).toThrow(OAuthError)
    expect(() => githubTargets(environment)).toThrow(expect.objectContaining({ code: 'USAGE', session: 'none' }))
  })
})
