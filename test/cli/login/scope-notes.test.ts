/** What a login says about its scope, before and after the sign-in. */
import { expect, test, vi } from 'vitest'
import { fakeNodeRuntime, run } from '../../support/cli.ts'
import { createFakeWorld } from '../../support/fake-atproto.ts'
import { publishSet } from '../../support/permission-sets.ts'

vi.mock('../../../src/node/runtime.ts', async (load) => ({ ...(await load<object>()), nodeRuntime: fakeNodeRuntime }))

const SET = 'include:dev.fake.lex.authAll'
const warnings = (stderr: string) => [...stderr.matchAll(/^atproto-oauth: warning: (.*)$/gm)].map(([, text]) => text)

async function started(permissions: readonly object[], env: Record<string, string> = {}) {
  const world = createFakeWorld()
  publishSet(world, { title: 'Every\u001b[31mthing', 'title:lang': { de: 'Alles' }, detail: 'All of it', permissions })
  return run(world, ['init', 'alice.fake.dev', '--scope', `atproto ${SET}`], { env })
}

/** A login with a scope, and what the server grants for it. */
async function completed(requested: string, scope?: string) {
  const world = createFakeWorld()
  const { stdout } = await run(world, ['init', 'alice.fake.dev', '--scope', requested])
  const stdin = world.authorize(stdout.trim(), scope === undefined ? {} : { scope })
  const { code, stderr } = await run(world, ['complete'], { stdin })
  expect(code).toBe(0)
  return { stderr, warned: warnings(stderr) }
}

test('26.4 init names what a permission set will not grant, and why', async () => {
  const { code, stderr } = await started([
    { resource: 'rpc', lxm: ['dev.fake.lex.getThing'], inheritAud: true },
    { resource: 'repo', collection: ['app.bsky.feed.post'] },
    { resource: 'blob', accept: ['image/*'] },
  ])
  expect(code).toBe(0)
  expect(warnings(stderr)).toStrictEqual([
    `${SET} will not grant rpc?lxm=dev.fake.lex.getThing: the service is missing; add it, as in ${SET}?aud=did:web:api.bsky.app%23bsky_appview`,
    `${SET} will not grant repo:app.bsky.feed.post: it is outside the namespace of the set, dev.fake.lex; request it separately`,
    `${SET} will not grant blob:image/*: a permission set grants only repo: and rpc: permissions; request it separately`,
    `${SET} will grant nothing`,
  ])
})

test('26.2 a set with a space: entry: whether it is granted depends on the server', async () => {
  const { stderr } = await started([{ resource: 'space', spaceType: 'dev.fake.lex.forum', authority: '*' }])
  expect(warnings(stderr)).toStrictEqual([
    `${SET} grants space:dev.fake.lex.forum?authority=* only if the server supports space: permissions`,
  ])
})

test('26.3 init says that a set cannot be resolved, although the server accepted it', async () => {
  const { code, stderr } = await run(createFakeWorld(), ['init', 'alice.fake.dev', '--scope', `atproto ${SET}`])
  expect(code).toBe(0)
  expect(warnings(stderr)).toStrictEqual([
    'the permission set dev.fake.lex.authAll cannot be resolved: no TXT record with did= at _lexicon.lex.fake.dev; the server accepted it, and may grant nothing from it',
  ])
})

test('26.4 no warning about a set that is granted as a whole', async () => {
  const { stderr } = await started([{ resource: 'repo', collection: ['dev.fake.lex.post'] }])
  expect(warnings(stderr)).toStrictEqual([])
})

test('26.5 init prints the texts of the set, in the language of the environment', async () => {
  const texts = async (env: Record<string, string>) => /^set {6}(.*)$/m.exec((await started([], env)).stderr)![1]
  expect(await texts({ LANG: 'de_DE.UTF-8' })).toBe('Alles (dev.fake.lex.authAll): All of it')
  expect(await texts({ LANG: 'de_DE.UTF-8', LC_ALL: 'C' })).toBe('Everything (dev.fake.lex.authAll): All of it')
  expect(await texts({})).toBe('Everything (dev.fake.lex.authAll): All of it')
})

test('26.4 complete says that nothing came of an include:', async () => {
  const { warned } = await completed(`atproto ${SET}`, 'atproto')
  expect(warned).toStrictEqual([
    `nothing was granted from the permission set ${SET}; it may need the service, as in ?aud=did:web:api.bsky.app%23bsky_appview`,
  ])
  const named = `${SET}?aud=did:web:api.fake.dev%23x`
  const { warned: other } = await completed(`atproto ${named}`, 'atproto repo:app.bsky.feed.post')
  expect(other).toStrictEqual([
    `nothing was granted from the permission set ${named}`,
    'granted but not requested: repo:app.bsky.feed.post',
  ])
})

test('26.4 complete names the permissions of a set that were not granted, by meaning', async () => {
  const warned = async (scope: string) => {
    const world = createFakeWorld()
    publishSet(world, {
      permissions: [
        { resource: 'repo', collection: ['dev.fake.lex.post', 'dev.fake.lex.like'], action: ['create'] },
        { resource: 'rpc', lxm: ['dev.fake.lex.getThing'], aud: '*' },
      ],
    })
    const { stdout } = await run(world, ['init', 'alice.fake.dev', '--scope', `atproto ${SET}`])
    const { code, stderr } = await run(world, ['complete'], { stdin: world.authorize(stdout.trim(), { scope }) })
    expect(code).toBe(0)
    return warnings(stderr)
  }
  const both = 'repo:dev.fake.lex.like?action=create repo:dev.fake.lex.post'
  expect(await warned(`atproto ${both} rpc:dev.fake.lex.getThing?aud=*`)).toStrictEqual([])
  expect(await warned(`atproto ${both}`)).toStrictEqual([
    'not granted from a permission set: rpc:dev.fake.lex.getThing?aud=*',
  ])
  expect(await warned('atproto rpc:dev.fake.lex.getThing?aud=* repo:dev.fake.lex.post')).toStrictEqual([
    'not granted from a permission set: repo?collection=dev.fake.lex.like&collection=dev.fake.lex.post&action=create',
  ])
  expect(await warned(`atproto ${SET}`)).toStrictEqual([])
  expect(await warned('atproto')).toStrictEqual([
    expect.stringContaining('nothing was granted from the permission set'),
  ])
})

test.each([
  [`atproto ${SET}`, 'atproto repo:dev.fake.lex.post'],
  [`atproto ${SET}`, `atproto ${SET}`],
  ['atproto transition:email', 'atproto account:email'],
])('26.4, 26.18 %s, granted as %s: no warning', async (requested, granted) => {
  expect((await completed(requested, granted)).warned).toStrictEqual([])
})

test('26.2 a space: that the server dropped: it does not support it, and nobody is told to allow it', async () => {
  const space = 'space:com.example.forum?action=read'
  const { warned, stderr } = await completed(`atproto ${space}`)
  expect(warned).toStrictEqual([
    `not granted, because the server does not support it: ${space} (spaces of type com.example.forum of this account: read records)`,
  ])
  expect(stderr).not.toContain('consent screen')

  const { stderr: both } = await completed(`atproto ${space} repo:a.b.c`, 'atproto')
  expect(both).toContain('not granted: repo:a.b.c\n')
  expect(both).toContain("atproto-oauth init alice.fake.dev --scope 'atproto repo:a.b.c'\n")
})

test('26.2 init describes a space: permission', async () => {
  const scope = 'atproto space:com.example.forum?authority=*&action=read'
  const { stderr } = await run(createFakeWorld(), ['init', 'alice.fake.dev', '--scope', scope])
  expect(stderr).toContain('spaces   of type com.example.forum of any account: read records\n')
})
