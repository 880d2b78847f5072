/** Permission sets with every fault, published for the real servers: it is named before the sign-in, and they grant what was said. */
import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { parsePermission } from '../../src/protocol/scope/permission.ts'
import published from '../vectors/permission-sets.json' with { type: 'json' }
import { type Home, runCli } from '../world/cli.ts'
import { publishLexicons } from '../world/lexicons.ts'
import { signIn } from '../world/person.ts'
import { connectWorld } from '../world/world.ts'
import { CONSENT, expectFailure, newHome } from './support.ts'

const world = connectWorld()
const AUD = 'did:web:api.fake.dev#x'
const set = (...permissions: object[]) => ({
  type: 'permission-set',
  permissions: permissions.map((entry) => ({ type: 'permission', ...entry })),
})
/** Without that of the test's own settings. */
const warnings = (stderr: string) =>
  [...stderr.matchAll(/^atproto-oauth: warning: (?!development mode)(.*)$/gm)].map(([, text]) => text!)

test('26.3 a set that cannot be resolved: scope resolve names the step and the repair, init the cause', async () => {
  const account = await world.createAccount()
  const home = await newHome()
  const fails = async (nsid: string, env: Record<string, string>, topic: string, why: string, fix: string) => {
    const resolved = await runCli(['scope', 'resolve', nsid], { home, env })
    expect(resolved.code).toBe(4)
    expect(resolved.stderr).toContain('[PERMISSION_SET_UNRESOLVED]')
    const [last, repair] = resolved.stdout.trimEnd().split('\n').slice(-2)
    expect(last).toMatch(new RegExp(`^xx {2}${topic} `))
    expect(last).toContain(why)
    expect(repair).toContain(`fix: ${fix}`)
    expect(resolved.stderr).toContain(`hint: ${fix}`)
    const refused = await runCli(['init', account.handle, '--scope', `atproto include:${nsid}`], { home, env })
    expectFailure(refused, 4, 'PERMISSION_SET_UNRESOLVED')
    expect(refused.stderr).toContain(`the permission set ${nsid} cannot be resolved: `)
    expect(refused.stderr).toContain(why)
    expect(refused.stderr).toContain(`for the author of the set: atproto-oauth scope resolve ${nsid}`)
  }

  const newName = () => `lex-${randomBytes(4).toString('hex')}`
  for (const [text, topic, why, fix] of [
    ['none', 'TXT record', 'no TXT record with did= at', 'add the DNS record: _lexicon.'],
    ['"did=did:plc:aaaaaaaaaaaaaaaaaaaaaaaa"', 'TXT record', 'does not begin with did=: ', 'keep only one TXT record'],
    ['did=alice.test', 'TXT record', 'does not name one DID', 'keep only one TXT record at _lexicon.'],
    [
      'did=did:plc:aaaaaaaaaaaaaaaaaaaaaaaa',
      'DID document',
      'not found at',
      'publish the DID document of did:plc:aaaa',
    ],
  ] as const) {
    const name = newName()
    const env = await world.leadText(`_lexicon.${name}.fake.dev`, text)
    await fails(`dev.fake.${name}.authAll`, env, topic, why, fix)
  }

  const good = set({ resource: 'repo', collection: ['dev.fake.x.post'] })
  const { namespace, env, deactivate } = await publishLexicons(
    world,
    () => ({
      getThing: { type: 'query' },
      authRevision: good,
      authMore: good,
      authMember: good,
      authId: good,
      authVersion: good,
      authTitle: { ...good, 'title:lang': { de_DE: 'Alles' } },
      authList: { ...good, permissions: {} },
      authEntry: { ...good, permissions: [{ resource: 'repo', collection: ['dev.fake.x.post'] }] },
      authMixed: set({ resource: 'repo', collection: ['dev.fake.x.post', 1] }),
    }),
    {
      authId: { id: 'dev.fake.x.authId' },
      authVersion: { lexicon: 2 },
      authRevision: { revision: 'two' },
      authMore: { defs: { main: good, more: good } },
      authMember: { defs: { main: good, more: { type: 'string', maxLength: 'x' } } },
    },
  )
  for (const [name, why, fix] of [
    ['authNone', 'no record com.atproto.lexicon.schema/', 'create the record com.atproto.lexicon.schema/'],
    ['getThing', 'is not a permission set: its main definition has the type "query"', 'correct the record '],
    ['authId', 'its id is "dev.fake.x.authId"', 'correct the record '],
    ['authVersion', 'its "lexicon" is not 1', 'correct the record '],
    ['authRevision', 'its "revision" is not a whole number', 'correct the record '],
    ['authMore', 'its definition "more" has the type "permission-set"', 'correct the record '],
    ['authTitle', '"title:lang" is not an object with a text for each language tag', 'correct the record '],
    ['authList', '"permissions" is not a list', 'correct the record '],
    ['authEntry', 'entry 1 of "permissions" has no "type": "permission"', 'correct the record '],
    ['authMixed', 'entry 1 of "permissions" has "collection" as neither', 'correct the record '],
  ] as const) {
    await fails(`${namespace}.${name}`, env, 'record', why, fix)
  }

  // Only the server checks the members of other definitions.
  const nsid = `${namespace}.authMember`
  const resolved = await runCli(['scope', 'resolve', nsid], { home, env })
  expect(resolved.code).toBe(0)
  expect(resolved.stdout).toContain('it also defines more: servers reject the set if one of these is invalid')
  const refused = await runCli(['init', account.handle, '--scope', `atproto include:${nsid}`], { home, env })
  expectFailure(refused, 4, 'PERMISSION_SET_UNRESOLVED')
  expect(refused.stderr).toContain(`the permission set ${nsid} cannot be resolved: the server gives no reason (`)
  expect(refused.stderr).toContain(`find the cause with: atproto-oauth scope resolve ${nsid}`)

  await deactivate()
  await fails(`${namespace}.authTop`, env, 'record', 'is deactivated at localhost', 'reactivate the account did:plc:')
})

test('26.4 a set with each fault of an entry: what it will not grant is said before the sign-in, and is not granted', async () => {
  const POST = 'app.bsky.feed.post'
  const published = await publishLexicons(world, (name) => {
    const beside = (entry: object, good: string) =>
      set(entry, { resource: 'repo', collection: [`${name}.${good}`], action: ['create'] })
    const rpc = (more: object) => ({ resource: 'rpc', lxm: [`${name}.getThing`], ...more })
    return {
      authAudience: beside(rpc({ inheritAud: true }), 'one'),
      authOutside: beside({ resource: 'repo', collection: [POST, `${name}.post`] }, 'two'),
      authBlob: beside({ resource: 'blob', accept: ['*/*'] }, 'three'),
      authAccount: beside({ resource: 'account', attr: 'email' }, 'four'),
      authIdentity: beside({ resource: 'identity', attr: 'handle' }, 'five'),
      authField: beside(rpc({ aud: '*', description: 'x' }), 'six'),
      authBoth: beside(rpc({ aud: '*', inheritAud: true }), 'seven'),
      authWildcard: beside({ resource: 'repo', collection: ['*'] }, 'eight'),
      authService: beside(rpc({ aud: AUD }), 'nine'),
      authText: beside({ resource: 'repo', collection: `${name}.post` }, 'ten'),
      authEmpty: beside({ resource: 'repo', collection: [`${name}.post`], action: [] }, 'eleven'),
      authAny: beside(rpc({ lxm: ['*'], aud: '*' }), 'twelve'),
      authWhole: set(rpc({ inheritAud: true }), rpc({ lxm: [`${name}.getAny`], aud: '*' })),
    }
  })
  const { namespace, env } = published
  const names = ['Audience', 'Outside', 'Blob', 'Account', 'Identity', 'Field', 'Both', 'Wildcard', 'Service', 'Text']
  const faulty = [...names, 'Empty', 'Any'].map((name) => `${namespace}.auth${name}`)
  const account = await world.createAccount()
  const home = await newHome()
  const granted: string[] = []
  const includes: string[] = []
  for (const nsid of [...faulty, `${namespace}.authWhole`]) {
    const isWhole = !faulty.includes(nsid)
    const resolved = await runCli(['scope', 'resolve', nsid, '--json', ...(isWhole ? ['--aud', AUD] : [])], {
      home,
      env,
    })
    expect(resolved.code).toBe(0)
    const seen = JSON.parse(resolved.stdout)
    expect(seen.dropped).toHaveLength(isWhole ? 0 : 1)
    granted.push(...seen.granted)
    includes.push(seen.include)
  }

  const started = await runCli(['init', account.handle, '--scope', `atproto ${includes.join(' ')}`], { home, env })
  expect(started.code).toBe(0)
  expect(warnings(started.stderr).map((text) => text.replace(/ .*/, ''))).toStrictEqual(
    faulty.map((nsid) => `include:${nsid}`),
  )
  const stdin = await signIn(started.stdout.trim(), account, CONSENT)
  const completed = await runCli(['complete', '--save', 'store'], { home, stdin })
  expect(completed.code).toBe(0)
  expect(warnings(completed.stderr)).toStrictEqual([])
  const { scope } = JSON.parse((await runCli(['status', '--json'], { home })).stdout)
  expect(meantBy(scope.split(' '))).toStrictEqual(meantBy(granted))
})

const meantBy = (tokens: readonly string[]) =>
  tokens
    .filter((token) => token !== 'atproto')
    .map(parsePermission)
    .sort(byText)

test('a set of Bluesky grants what --for delete does, until it is changed: then the session is wider after a refresh', async () => {
  const name = 'authDeleteContent'
  const nsid = `app.bsky.${name}` as const
  const main = published.sets[nsid]
  const { env, change } = await publishLexicons(world, () => ({ [name]: main }), {}, 'app.bsky')
  const resolved = await runCli(['scope', 'resolve', nsid], { home: await newHome(), env })
  expect(resolved.stdout).toMatch(/^task {5}--for delete grants the same, also if the set changes later$/m)
  expect(resolved.stdout).toMatch(/^ {2}allows {5}Delete records of app\.bsky\.feed\.like \(likes\), /m)

  const signedIn = async (...args: string[]) => {
    const [account, home] = [await world.createAccount(), await newHome()]
    const started = await runCli(['init', account.handle, ...args], { home, env })
    expect(started.code).toBe(0)
    const stdin = await signIn(started.stdout.trim(), account, CONSENT)
    expect(await runCli(['complete', '--save', 'store'], { home, stdin })).toMatchObject({ code: 0 })
    return home
  }
  const grantOf = async (home: Home) =>
    meantBy(JSON.parse((await runCli(['scope', 'explain', '--json'], { home })).stdout).granted.split(' '))
  const [bySet, byTask] = [await signedIn('--scope', `atproto include:${nsid}`), await signedIn('--for', 'delete')]
  const before = await grantOf(byTask)
  expect(await grantOf(bySet)).toStrictEqual(before)

  const entry = main.permissions[0]!
  await change(name, { ...main, permissions: [{ ...entry, action: ['create', 'update', 'delete'] }] })
  const refreshed = async (home: Home) => {
    const result = await runCli(['refresh'], { home })
    expect(result.code).toBe(0)
    return warnings(result.stderr)
  }
  expect(await refreshed(byTask)).toStrictEqual([])
  const changed = (how: string) => [
    expect.stringMatching(`^the server changed the permissions of did:plc:[a-z2-7]+, as after .* set: ${how}$`),
  ]
  const [like, post, gate] = ['like', 'post', 'postgate'].map((kind) => `repo:app\\.bsky\\.feed\\.${kind}\\?action=`)
  const five = `${like}create, ${like}update, ${post}create, ${post}update, ${gate}create, 5 more`
  expect(await refreshed(bySet)).toStrictEqual(changed(`added ${five}`))
  expect(await refreshed(bySet)).toStrictEqual([])
  expect(await grantOf(byTask)).toStrictEqual(before)
  const after = await grantOf(bySet)
  expect(after).not.toStrictEqual(before)
  expect(after).toStrictEqual(meantBy([`repo?${entry.collection.map((one) => `collection=${one}`).join('&')}`]))

  await change(name, main)
  expect(await refreshed(bySet)).toStrictEqual(changed(`removed ${five}`))
  expect(await grantOf(bySet)).toStrictEqual(before)
})

function byText(one: unknown, other: unknown): number {
  return textOf(one) < textOf(other) ? -1 : 1
}

function textOf(permission: unknown): string {
  return JSON.stringify(permission, (_, value) => (value instanceof Map ? [...value] : value))
}
