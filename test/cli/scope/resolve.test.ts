/** `scope resolve`, in front of the fake world: each step that can fail, each entry that is not granted. */
import { describe, expect, test, vi } from 'vitest'
import { json } from '../../../src/testing/http.ts'
import { fakeNodeRuntime, run } from '../../support/cli.ts'
import { createFakeWorld, type FakeWorld } from '../../support/fake-atproto.ts'
import { PUBLISHER, publishRecord, publishSet } from '../../support/permission-sets.ts'

vi.mock('../../../src/node/runtime.ts', async (load) => ({ ...(await load<object>()), nodeRuntime: fakeNodeRuntime }))

const NSID = 'dev.fake.lex.authAll'
const NAME = '_lexicon.lex.fake.dev'
const RECORD = `com.atproto.lexicon.schema/${NSID}`
const rpc = (more: object) => ({ resource: 'rpc', lxm: ['dev.fake.lex.getThing'], ...more })

function resolve(world: FakeWorld, ...args: string[]) {
  return run(world, ['scope', 'resolve', NSID, ...args], { env: { LANG: 'de_DE.UTF-8' } })
}

test('a set that is granted as a whole: its steps, its texts in the language, its permissions', async () => {
  const world = createFakeWorld()
  publishSet(world, {
    title: 'Every\u001b[31mthing',
    'title:lang': { de: 'Alles' },
    detail: 'All of it',
    permissions: [{ resource: 'repo', collection: ['dev.fake.lex.post'] }, rpc({ inheritAud: true })],
  })
  const { code, stdout } = await resolve(world, '--aud', 'did:web:api.fake.dev#x')
  expect(code).toBe(0)
  expect(stdout).toBe(`ok  TXT record       ${NAME} → ${PUBLISHER}
ok  DID document     ${PUBLISHER} names the PDS https://lex-pds.fake.dev
ok  record           ${RECORD} is a permission set
ok  permissions      all 2 entries are granted

title    Alles
detail   All of it
request  include:${NSID}?aud=did:web:api.fake.dev%23x

repo:dev.fake.lex.post
  allows     Create, update and delete records of dev.fake.lex.post.
  limits     It permits no uploads and no calls of other services.

rpc:dev.fake.lex.getThing?aud=did:web:api.fake.dev%23x
  allows     Call dev.fake.lex.getThing at did:web:api.fake.dev#x as the account.
  limits     It permits no other method, and no other service.
`)
})

test('--json prints one object, also if the set cannot be resolved', async () => {
  const world = createFakeWorld()
  publishSet(world, { title: 'All', permissions: [rpc({ inheritAud: true })] })
  const { code, stdout } = await resolve(world, '--json')
  expect(code).toBe(0)
  expect(JSON.parse(stdout)).toMatchObject({
    include: `include:${NSID}`,
    nsid: NSID,
    title: 'All',
    granted: [],
    permissions: [],
    dropped: [{ index: 0, entry: 'rpc?lxm=dev.fake.lex.getThing', why: 'audience' }],
    findings: [
      { topic: 'TXT record', verdict: 'ok' },
      { topic: 'DID document', verdict: 'ok' },
      { topic: 'record', verdict: 'ok' },
      { topic: 'permissions', verdict: 'warning', fix: expect.stringContaining(`include:${NSID}?aud=`) },
      { topic: 'permissions', verdict: 'warning', detail: 'the set grants nothing for this request' },
    ],
  })

  const broken = await resolve(createFakeWorld(), '--json')
  expect(broken.code).toBe(4)
  expect(JSON.parse(broken.stdout)).toMatchObject({
    include: `include:${NSID}`,
    nsid: NSID,
    findings: [{ topic: 'TXT record', verdict: 'broken', detail: `no TXT record with did= at ${NAME}` }],
  })
  expect(JSON.parse(broken.stdout)).not.toHaveProperty('granted')
  expect(JSON.parse(broken.stdout)).not.toHaveProperty('permissions')
})

test('what is granted is explained as `scope explain` explains it, with its warnings', async () => {
  const world = createFakeWorld()
  publishSet(world, {
    permissions: [
      { resource: 'repo', collection: ['dev.fake.lex.post', 'dev.fake.lex.like'], action: ['create'] },
      { resource: 'repo', collection: ['dev.fake.lex.like'], action: ['create'] },
      rpc({ lxm: ['a', 'b', 'c', 'd', 'e'].map((name) => `dev.fake.lex.${name}`), aud: '*' }),
      { resource: 'space', spaceType: 'dev.fake.lex.forum', authority: '*' },
    ],
  })
  const { permissions, granted } = JSON.parse((await resolve(world, '--json')).stdout)
  expect(permissions).toHaveLength(4)
  expect(permissions[1].coveredBy).toStrictEqual([permissions[0].permission])
  const explained = await run(createFakeWorld(), ['scope', 'explain', ...granted, '--json'])
  expect(permissions).toStrictEqual(JSON.parse(explained.stdout).permissions)
  const blocks = (text: string) => text.split('\n\n').filter((block) => /^[a-z]+[:?].*\n {2}allows/.test(block))
  const [here, there] = [await resolve(world), await run(createFakeWorld(), ['scope', 'explain', ...granted])]
  expect(blocks(`${here.stdout}\n`)).toHaveLength(4)
  expect(blocks(`${here.stdout}\n`)).toStrictEqual(blocks(there.stdout))
})

const named = ({ identity }: FakeWorld) => void identity.txt.set(NAME, [[`did=${PUBLISHER}`]])
const answering = (response: () => Response) => (world: FakeWorld) => {
  publishRecord(world, {})
  world.serve('https://lex-pds.fake.dev', response)
}

describe('26.3 the first step that fails, with the repair for the author of the set', () => {
  test.each<[string, string, string, string, (world: FakeWorld) => void]>([
    [
      'DNS',
      'TXT record',
      `DNS failed for ${NAME} (`,
      'check the network',
      ({ identity }) => {
        identity.txt.set(NAME, 'SERVFAIL')
      },
    ],
    [
      'no TXT record',
      'TXT record',
      `no TXT record with did= at ${NAME}`,
      `add the DNS record: ${NAME} TXT "did=…"`,
      () => undefined,
    ],
    [
      'two TXT records',
      'TXT record',
      'does not name one DID',
      `keep only one TXT record at ${NAME}`,
      ({ identity }) => {
        identity.txt.set(NAME, [[`did=${PUBLISHER}`], [`did=${PUBLISHER}`]])
      },
    ],
    ['no DID document', 'DID document', `${PUBLISHER} not found`, `publish the DID document of ${PUBLISHER}`, named],
    [
      'no such PDS',
      'record',
      'lex-pds.fake.dev does not exist',
      `the PDS of ${PUBLISHER} must respond`,
      (world) => {
        named(world)
        world.identity.addAccount({ did: PUBLISHER, handle: 'lex.fake.dev', pds: 'https://lex-pds.fake.dev' })
      },
    ],
    [
      'a PDS that fails',
      'record',
      'returned 503',
      `the PDS of ${PUBLISHER} must respond`,
      answering(() => json(503, {})),
    ],
    [
      'no record',
      'record',
      '400 RecordNotFound',
      `create the record ${RECORD}`,
      answering(() => json(400, { error: 'RecordNotFound' })),
    ],
    [
      'a TXT record with quotes in it',
      'TXT record',
      `does not begin with did=: "\\"did=${PUBLISHER}\\""`,
      `keep only one TXT record at ${NAME}`,
      ({ identity }) => {
        identity.txt.set(NAME, [[`"did=${PUBLISHER}"`]])
      },
    ],
    [
      'an account that is not active, where the PDS asks another server for the record',
      'record',
      `the account ${PUBLISHER} is deactivated at lex-pds.fake.dev`,
      `reactivate the account ${PUBLISHER}`,
      (world) => {
        publishRecord(world, {})
        world.serve('https://lex-pds.fake.dev', ({ url }) =>
          url.includes('getRepoStatus') ? json(200, { active: false, status: 'deactivated' }) : json(200, {}),
        )
      },
    ],
    [
      'a response without a record',
      'record',
      `no record ${RECORD} of ${PUBLISHER}: lex-pds.fake.dev returned 200`,
      `create the record ${RECORD}`,
      answering(() => json(200, {})),
    ],
    [
      'another record',
      'record',
      'is not a permission set',
      `correct the record ${RECORD}`,
      (world) => publishRecord(world, { defs: { main: { type: 'query' } } }),
    ],
  ])('%s', async (_, topic, why, fix, plant) => {
    const world = createFakeWorld()
    plant(world)
    const { code, stdout, stderr } = await resolve(world)
    expect(code).toBe(4)
    const lines = stdout.trimEnd().split('\n')
    expect(lines.at(-2)).toMatch(new RegExp(`^xx {2}${topic} `))
    expect(lines.at(-2)).toContain(why)
    expect(lines.at(-1)).toContain(`fix: ${fix}`)
    expect(lines.slice(0, -2).filter((line) => !line.startsWith('ok'))).toStrictEqual([])
    expect(stderr).toContain(`error: the permission set ${NSID} cannot be resolved: `)
    expect(stderr).toContain('[PERMISSION_SET_UNRESOLVED]')
    expect(stderr).toContain(`hint: ${fix}`)
  })
})

test('26.4 each entry that is not granted: why, and the repair', async () => {
  const world = createFakeWorld()
  const entries: [entry: object, why: RegExp, fix: RegExp][] = [
    [rpc({ inheritAud: true }), /the request does not name the service/, /request the set with a service/],
    [
      { resource: 'repo', collection: ['a.b.c'] },
      /outside the namespace of the set, dev\.fake\.lex/,
      /publish a set under/,
    ],
    [{ resource: 'blob', accept: ['*/*'] }, /grants only repo: and rpc: permissions/, /^remove the entry/],
    [{ resource: 'account', attr: 'email' }, /grants only repo: and rpc: permissions/, /^remove the entry/],
    [{ resource: 'identity', attr: '*' }, /grants only repo: and rpc: permissions/, /^remove the entry/],
    [rpc({ aud: '*', note: 'x' }), /the field "note" is unknown, which voids the entry/, /^remove "note"/],
    [rpc({ aud: '*', inheritAud: true }), /"inheritAud" is valid only as true/, /^remove "inheritAud"/],
    [{ resource: 'repo', collection: ['*'] }, /grants no wildcard/, /by name$/],
    [rpc({ aud: 'did:web:api.fake.dev#x' }), /cannot name a service itself/, /^replace "aud" by "inheritAud": true/],
    [{ resource: 'repo', collection: 'dev.fake.lex.post' }, /not a valid permission/, /^write each list/],
  ]
  publishSet(world, {
    permissions: [
      ...entries.map(([entry]) => entry),
      { resource: 'space', spaceType: 'dev.fake.lex.forum', authority: '*' },
    ],
  })
  const { code, stdout } = await resolve(world)
  expect(code).toBe(0)
  const warned = [...stdout.matchAll(/^!! {2}permissions {6}(.*)\n(?: +fix: (.*)\n)?/gm)].map(([, ...texts]) => texts)
  for (const [index, [, why, fix]] of entries.entries()) {
    expect(warned[index]![0]).toMatch(new RegExp(`^entry ${index + 1} is not granted: .*${why.source}`))
    expect(warned[index]![1]).toMatch(fix)
  }
  expect(warned[entries.length]).toStrictEqual([
    'space:dev.fake.lex.forum?authority=*: granted only if the server supports space: permissions',
    undefined,
  ])
  expect(warned).toHaveLength(entries.length + 1)
})

test('a record with more definitions: a warning, because servers validate these too', async () => {
  const world = createFakeWorld()
  const main = {
    type: 'permission-set',
    permissions: [{ type: 'permission', resource: 'repo', collection: ['a.b.c'] }],
  }
  publishRecord(world, { defs: { main, thing: { type: 'string', maxLength: 'x' } } })
  const { code, stdout } = await resolve(world)
  expect(code).toBe(0)
  expect(stdout).toMatch(/^!! {2}record +it also defines thing: servers reject the set if one of these is invalid$/m)
  expect(stdout).toMatch(/^ +fix: leave only "main" in "defs"$/m)
})

test('--aud by its short name', async () => {
  const world = createFakeWorld()
  publishSet(world, { permissions: [rpc({ inheritAud: true })] })
  const { stdout } = await resolve(world, '--aud', 'appview')
  expect(stdout).toContain('\nrpc:dev.fake.lex.getThing?aud=did:web:api.bsky.app%23bsky_appview\n')
})

test('an empty set', async () => {
  const world = createFakeWorld()
  publishSet(world, { permissions: [] })
  const { code, stdout } = await resolve(world)
  expect(code).toBe(0)
  expect(stdout).toContain('!!  permissions      the set is empty\n')
  expect(stdout).toContain('grants   nothing\n')
})

test.each([
  ['app.bsky', [], '[SCOPE_INVALID]', 'hint: atproto-oauth scope resolve app.bsky.authFullApp\n'],
  ...[
    'app.bsky.authViewAll?aud=did:web:api.bsky.app%23bsky_appview',
    'include:app.bsky.authViewAll&aud=did:web:api.bsky.app#bsky_appview',
    'app.bsky.authViewAll?aud=appview',
  ].map((text): [string, string[], string, string] => [
    text,
    [],
    '[SCOPE_INVALID]',
    "hint: atproto-oauth scope resolve app.bsky.authViewAll --aud 'did:web:api.bsky.app#bsky_appview'\n",
  ]),
  ...[
    'at://did:plc:abc/com.atproto.lexicon.schema/app.bsky.authViewAll',
    'https://lexicon.example/app.bsky.authViewAll?a=b',
    'app.bsky.authViewAll#main',
    'repo:app.bsky.authViewAll',
  ].map((text): [string, string[], string, string] => [
    text,
    [],
    '[SCOPE_INVALID]',
    'hint: atproto-oauth scope resolve app.bsky.authViewAll\n',
  ]),
  [NSID, ['--aud', 'did:web:api.bsky.chat'], '[USAGE]', 'as in: --aud did:web:api.bsky.chat#bsky_chat\n'],
  [NSID, ['--aud', '*'], '[USAGE]', 'as in: --aud did:web:api.bsky.app#bsky_appview\n'],
])('%s %j is a mistake, and nothing is sent', async (nsid, more, error, hint) => {
  const world = createFakeWorld()
  const { code, stderr } = await run(world, ['scope', 'resolve', nsid, ...more])
  expect(code).toBe(2)
  expect(stderr).toContain(error)
  expect(stderr).toContain(hint)
  expect(stderr).not.toContain('session:')
  expect(world.requests).toStrictEqual([])
})
