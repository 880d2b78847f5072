import { describe, expect, test, vi } from 'vitest'
import { presetScope } from '../../../src/protocol/scope/presets.ts'
import { callbackFor, fakeNodeRuntime, run, signIn } from '../../support/cli.ts'
import { createFakeWorld } from '../../support/fake-atproto.ts'

vi.mock('../../../src/node/runtime.ts', async (load) => ({ ...(await load<object>()), nodeRuntime: fakeNodeRuntime }))

const explain = (...words: string[]) => run(createFakeWorld(), ['scope', 'explain', ...words])
const POST = 'repo:app.bsky.feed.post?action=create'

describe('of a scope: without a session, and without a request', () => {
  test('sound: 0, nothing on stderr, a block for each permission', async () => {
    const world = createFakeWorld()
    const { code, stdout, stderr } = await run(world, ['scope', 'explain', `atproto ${POST}`])
    expect({ code, stderr }).toStrictEqual({ code: 0, stderr: '' })
    expect(stdout).toBe(
      [
        'atproto',
        '  allows     Sign in: the program learns the DID of the account.',
        '  limits     It writes nothing, and calls no other service as the account.',
        '',
        POST,
        '  allows     Create records of app.bsky.feed.post (posts).',
        '  limits     It does not update or delete them. putRecord needs action=create and action=update.',
        '',
      ].join('\n'),
    )
    expect(world.requests).toStrictEqual([])
  })

  test('faulty: 2, how it is written on stdout, the whole scope in the hint', async () => {
    const { code, stdout, stderr } = await explain('atproto', 'Repo:app.bsky.feed.post:create', POST)
    expect(code).toBe(2)
    expect(stdout).toContain(
      `Repo:app.bsky.feed.post:create
  error      the resource "Repo" is written in lower case
  error      a colon follows only the resource: the other values are parameters
  write      ${POST}
`,
    )
    expect(stdout).toMatch(/\n\n {2}scope {6}atproto repo:app\.bsky\.feed\.post\?action=create\n$/)
    expect(stderr).toBe(
      `atproto-oauth: error: invalid permission "Repo:app.bsky.feed.post:create": the resource "Repo" is written in lower case [SCOPE_INVALID]
atproto-oauth: hint: write it as --scope "atproto ${POST}"
`,
    )
  })

  test('one that nobody can correct, one to omit, one that is covered', async () => {
    const { code, stdout, stderr } = await explain('atproto repo:app.* openid transition:generic blob:image/*')
    expect(code).toBe(2)
    expect(stdout).toContain('  error      there are no partial wildcards')
    expect(stdout).toContain('  write      nothing: omit it\n')
    expect(stdout).toContain('  covered by transition:generic\n')
    expect(stdout).not.toMatch(/^ {2}scope/m)
    expect(stderr).toContain('hint: write it as repo:app.bsky.feed.post or repo:*')
  })

  test('--json: one object, and the error beside it', async () => {
    const { code, stdout, stderr } = await explain('--json', 'atproto,blob:*/*')
    expect(code).toBe(2)
    expect(JSON.parse(stdout)).toMatchObject({
      scope: 'atproto blob:*/*',
      permissions: [{ permission: 'atproto' }, { permission: 'blob:*/*', allows: 'Upload files of any type.' }],
      faults: [{ level: 'error', message: expect.stringContaining('commas') }],
    })
    expect(JSON.parse(stderr)).toMatchObject({ code: 'SCOPE_INVALID', exit: 2, session: 'none' })
  })

  test('--for: what a task requests, also with more', async () => {
    const task = await explain('--for', 'post-media', '--json')
    expect(task.code).toBe(0)
    expect(JSON.parse(task.stdout).scope).toBe(presetScope(['post-media']))
    const more = await explain('--for', 'post', '--json', 'account:email')
    expect(JSON.parse(more.stdout).scope).toBe(`atproto account:email ${POST}`)
    expect((await explain('--for', 'everything')).code).toBe(2)
  })

  test('a permission set: the command that lists what it grants, once, as it is corrected', async () => {
    const set = 'include:dev.fake.lex.authAll'
    const { code, stdout, stderr } = await explain('atproto', set, `${set}?aud=did:web:api.fake.dev%23x`, set)
    expect(code).toBe(0)
    expect(stdout).not.toContain('scope resolve')
    expect(stderr).toBe(`To list what a permission set grants:
  atproto-oauth scope resolve dev.fake.lex.authAll
  atproto-oauth scope resolve dev.fake.lex.authAll --aud 'did:web:api.fake.dev#x'
`)
    const faulty = await explain('atproto', `Include:dev.fake.lex.authAll?aud=did:web:api.fake.dev#x`)
    expect(faulty.code).toBe(2)
    expect(faulty.stderr).toContain(
      `  atproto-oauth scope resolve dev.fake.lex.authAll --aud 'did:web:api.fake.dev#x'\n`,
    )
    expect((await explain('atproto', 'include:authAll')).stderr).not.toContain('scope resolve')
    expect((await explain('atproto', set, '--json')).stderr).toBe('')
    const windows = await run(createFakeWorld(), ['scope', 'explain', `${set}?aud=did:web:api.fake.dev%23x`], {
      platform: 'win32',
    })
    expect(windows.stderr).toContain('--aud "did:web:api.fake.dev#x"\n')
  })

  test('--account is for the grant of a session', async () => {
    const { code, stdout, stderr } = await explain('atproto', '--account', 'alice.fake.dev')
    expect({ code, stdout }).toStrictEqual({ code: 2, stdout: '' })
    expect(stderr).toContain('--account cannot be used with a scope')
  })

  test('terminal controls in a scope are not printed', async () => {
    const { stdout, stderr } = await explain('repo:\u001b[31mx', 'blob:\u0007')
    expect(stdout + stderr).not.toMatch(/[\u001b\u0007]/)
  })
})

describe('without a scope: the grant of the session', () => {
  const stored = async (change: object = {}) => {
    const world = createFakeWorld()
    await run(world, ['complete', await callbackFor(world), '--save', 'store'])
    const [[thumbprint, record] = []] = world.stores.sessionRecords
    world.stores.sessionRecords.set(thumbprint!, { ...record!, ...change })
    return world
  }

  test('what was granted, dropped, not granted, and not asked for', async () => {
    const world = await stored({
      scope: `atproto ${POST} account:email`,
      requestedScope: `atproto ${POST} blob:image/* space:com.example.forum`,
    })
    const before = world.requests.length
    const { code, stdout, stderr } = await run(world, ['scope', 'explain'])
    expect({ code, stderr }).toStrictEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(/^account:email\n(?: .*\n)+? {2}granted {4}although it was not requested\n/m)
    expect(stdout).toMatch(/^blob:image\/\*\n(?: .*\n)+? {2}missing {4}requested, and not granted\n/m)
    expect(stdout).toMatch(
      /^space:com\.example\.forum\n(?: .*\n)+? {2}missing {4}requested, and dropped: the server does not support it\n/m,
    )
    expect(world.requests).toHaveLength(before)

    const { stdout: json } = await run(world, ['scope', 'explain', '--json'])
    expect(JSON.parse(json)).toMatchObject({
      granted: `atproto ${POST} account:email`,
      requested: `atproto ${POST} blob:image/* space:com.example.forum`,
      missingScopes: ['blob:image/*', 'space:com.example.forum'],
      unsupportedScopes: ['space:com.example.forum'],
      unaskedScopes: ['account:email'],
      permissions: [{ permission: 'atproto' }, { permission: POST }, { permission: 'account:email' }],
      missing: [{ permission: 'blob:image/*' }, { permission: 'space:com.example.forum' }],
    })
  })

  test('a permission set that the server has not expanded: the command that lists what it grants', async () => {
    const set = 'include:dev.fake.lex.authAll'
    const { stderr } = await run(await stored({ scope: `atproto ${set}` }), ['scope', 'explain'])
    expect(stderr).toContain('\n  atproto-oauth scope resolve dev.fake.lex.authAll\n')
    expect((await run(await stored(), ['scope', 'explain'])).stderr).toBe('')
  })

  test('26.2 self is the account of the session', async () => {
    const world = await stored()
    const { did } = [...world.stores.sessionRecords.values()][0]!
    const own = `space:com.example.forum?authority=${did}`
    const [thumbprint, record] = [...world.stores.sessionRecords][0]!
    world.stores.sessionRecords.set(thumbprint, {
      ...record,
      scope: `atproto ${own}`,
      requestedScope: 'atproto space:com.example.forum',
    })
    expect((await run(world, ['scope', 'explain'])).stdout).not.toMatch(/missing|not requested/)
  })

  test('a grant is not a mistake of the user: 0, whatever a server put into it', async () => {
    const world = await stored({ scope: 'atproto future:thing', requestedScope: 'atproto future:thing' })
    const { code, stdout } = await run(world, ['scope', 'explain'])
    expect(code).toBe(0)
    expect(stdout).toContain('future:thing\n  error      atproto defines no such permission')
  })

  test('no session: 5; a session of which nobody knows the grant: 2', async () => {
    expect(await explain()).toMatchObject({ code: 5, stdout: '', stderr: expect.stringContaining('[SESSION_MISSING]') })
    const world = createFakeWorld()
    const env = await signIn(world)
    expect(Object.keys(env)).not.toContain('ATPROTO_OAUTH_SESSION')
    const { code, stdout, stderr } = await run(createFakeWorld(), ['scope', 'explain'], { env })
    expect({ code, stdout }).toStrictEqual({ code: 2, stdout: '' })
    expect(stderr).toContain('the granted scope is unknown: separate variables do not contain it')
  })
})
