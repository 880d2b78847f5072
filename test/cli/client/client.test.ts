import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import { tempFolder } from '../../node/helpers.ts'
import { fakeNodeRuntime, type Ran, run } from '../../support/cli.ts'
import { createFakeWorld } from '../../support/fake-atproto.ts'

vi.mock('../../../src/node/runtime.ts', async (load) => ({ ...(await load<object>()), nodeRuntime: fakeNodeRuntime }))

const ORIGIN = 'https://bot.fake.dev'
const DOCUMENT = 'oauth-client-metadata.json'
const client = (...args: string[]) => run(createFakeWorld(), ['client', ...args])
const make = (folder: string, ...flags: string[]) => client('new', '--origin', ORIGIN, '--out', folder, ...flags)
const read = (folder: string, name = DOCUMENT) => readFile(join(folder, name), 'utf8')

function expectUsage(ran: Ran, code = 'USAGE'): void {
  expect(ran).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining(`[${code}]`) })
  expect(ran.stderr).not.toContain('session: ')
}

describe('client new', () => {
  test('again it changes the document alone, and prints no key', async () => {
    const folder = await tempFolder()
    expect((await make(folder, '--confidential')).stdout).toMatch(/^ATPROTO_OAUTH_CLIENT_JWK='\{.*"d":.*\}'\n$/)
    const before = JSON.parse(await read(folder))
    await writeFile(join(folder, 'callback/index.html'), 'my own page')
    const again = await make(folder, '--confidential', '--scope', 'repo:*')
    expect(again).toMatchObject({ code: 0, stdout: '' })
    expect(JSON.parse(await read(folder))).toStrictEqual({ ...before, scope: 'atproto repo:*' })
    expect(await read(folder, 'callback/index.html')).toBe('my own page')
  })

  test('leaves alone what is not its own, unless --force', async () => {
    const folder = await tempFolder()
    await make(folder)
    for (const other of ['{"mine": true}', 'no JSON', '']) {
      await writeFile(join(folder, DOCUMENT), other)
      expectUsage(await make(folder))
      expect(await read(folder)).toBe(other)
    }
    expect(await make(folder, '--force')).toMatchObject({ code: 0 })
    expect(JSON.parse(await read(folder)).client_id).toBe(`${ORIGIN}/${DOCUMENT}`)
  })

  test('leaves a page alone that is not beside a document of its own', async () => {
    const folder = await tempFolder()
    await mkdir(join(folder, 'callback'))
    await writeFile(join(folder, 'callback/index.html'), 'mine')
    expectUsage(await make(folder))
    expect(await read(folder, 'callback/index.html')).toBe('mine')
    expect(await readdir(folder)).toStrictEqual(['callback'])
  })

  test('a native client has no page', async () => {
    const folder = await tempFolder()
    expect(await make(folder, '--native')).toMatchObject({ code: 0, stdout: '' })
    expect(await readdir(folder)).toStrictEqual([DOCUMENT])
  })

  test('--json: one object on stdout, with the key', async () => {
    const { stdout, stderr } = await make(await tempFolder(), '--confidential', '--json')
    const { kids, ATPROTO_OAUTH_CLIENT_JWK, clientId } = JSON.parse(stdout)
    expect(clientId).toBe(`${ORIGIN}/${DOCUMENT}`)
    expect(kids).toStrictEqual([JSON.parse(ATPROTO_OAUTH_CLIENT_JWK).kid])
    expect(stderr).toBe('')
  })

  test.each(['-vq', '-Vx', '-x', '--help'])('a key named %s can be retired: it is no option', async (kid) => {
    const folder = await tempFolder()
    await make(folder, '--confidential')
    await client('new', '--add-key', '--out', folder, '--format', 'json')
    const document = JSON.parse(await read(folder))
    const { keys } = document.jwks
    await writeFile(
      join(folder, DOCUMENT),
      JSON.stringify({ ...document, jwks: { keys: [keys[0], { ...keys[1], kid }] } }),
    )
    expect(await client('new', '--retire-key', kid, '--out', folder)).toMatchObject({ code: 0, stdout: '' })
    expect(JSON.parse(await read(folder)).jwks.keys).toStrictEqual([keys[0]])
  })

  test('16.7 the key to be retired is named, and the last one stays', async () => {
    const folder = await tempFolder()
    await make(folder, '--confidential')
    const { stdout } = await client('new', '--add-key', '--out', folder, '--format', 'json')
    const { kid } = JSON.parse(JSON.parse(stdout).ATPROTO_OAUTH_CLIENT_JWK)
    expect(JSON.parse(await read(folder)).jwks.keys).toHaveLength(2)
    expect(await client('new', '--retire-key', kid, '--out', folder)).toMatchObject({ code: 0, stdout: '' })
    const [last, ...more] = JSON.parse(await read(folder)).jwks.keys
    expect(more).toStrictEqual([])
    expect(last.kid).not.toBe(kid)
    expectUsage(await client('new', '--retire-key', last.kid, '--out', folder), 'CLIENT_INVALID')
  })

  test.each<[string, string[], string?]>([
    ['no origin', []],
    ['5.8 native and confidential', ['--origin', ORIGIN, '--native', '--confidential']],
    ['an origin with a key to add', ['--origin', ORIGIN, '--add-key']],
    ['two changes at once', ['--add-key', '--retire-key', 'x']],
    ['a key for no document', ['--add-key']],
    ['a bundle', ['--origin', ORIGIN, '--format', 'bundle']],
    ['the per-user store', ['--origin', ORIGIN, '--confidential', '--save', 'store']],
    ['5.1 http', ['--origin', 'http://bot.fake.dev'], 'CLIENT_INVALID'],
    ['15.1 a scope that is none', ['--origin', ORIGIN, '--scope', 'rpc:*'], 'SCOPE_INVALID'],
  ])('%s is refused, and nothing is written', async (_, flags, code) => {
    const folder = await tempFolder()
    expectUsage(await client('new', '--out', join(folder, 'new'), ...flags), code)
    expect(await readdir(folder)).toStrictEqual([])
  })
})

test('26.7, 26.8 client new says what the consent screen will show, and when a new key can be used', async () => {
  const folder = await tempFolder()
  expect((await make(folder, '--confidential')).stderr).toContain(
    'The consent screen of the reference PDS shows "bot.fake.dev"',
  )
  const { stderr } = await client('new', '--add-key', '--out', folder)
  expect(stderr).toContain('Use the new key after that, and the earlier one until then.')
  expect(stderr).not.toContain('consent screen')
})

test('client without a command says so', async () => {
  expectUsage(await client())
})
