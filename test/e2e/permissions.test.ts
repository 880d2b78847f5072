/** Permissions through the built CLI, on the real PDS: what is asked for, what a refusal asks for, what a person leaves out. */
import { expect, test } from 'vitest'
import { formatCredentials } from '../../src/credentials/write.ts'
import { complete } from '../../src/login/complete.ts'
import { PRESETS, presetScope } from '../../src/protocol/scope/presets.ts'
import type { XrpcRequest } from '../../src/protocol/xrpc/request.ts'
import { requiredScope } from '../../src/protocol/xrpc/required-scope.ts'
import { runCli, runShell } from '../world/cli.ts'
import { publishLexicons } from '../world/lexicons.ts'
import { isNewest } from '../world/packages.ts'
import { signIn } from '../world/person.ts'
import { connectWorld } from '../world/world.ts'
import { CONSENT, callbackFor, expectFailure, library, logIn, newHome, sentByUs } from './support.ts'

const world = connectWorld()
const POST = 'app.bsky.feed.post'

test('--for adds to --scope, and not to the variable; what is no task is a mistake', async () => {
  const account = await world.createAccount()
  const home = await newHome()
  const env = { ATPROTO_OAUTH_SCOPE: 'atproto transition:generic' }
  const scopeOf = async (...args: string[]) =>
    JSON.parse((await runCli(['init', account.handle, '--json', ...args], { home, env })).stdout).scope
  const [create] = PRESETS.post.tokens
  expect(await scopeOf('--for', 'post')).toBe(`atproto ${create}`)
  expect(await scopeOf('--for', 'post', '--scope', 'account:email')).toBe(`atproto account:email ${create}`)
  expect(await scopeOf()).toBe(env.ATPROTO_OAUTH_SCOPE)

  const wrong = await runCli(['init', account.handle, '--for', 'everything'], { home })
  expectFailure(wrong, 2, 'USAGE')
  expect(wrong.stderr).toContain('post, post-media, read, archive, dm, profile, delete')
})

test('14.6 what the server misses is what requiredScope says, and the hint, pasted, gets it on top of what there is', async () => {
  const { account, home, env } = await logIn(world, 'atproto blob:image/png')
  const record = { $type: POST, text: 'x', createdAt: new Date().toISOString() }
  const body = JSON.stringify({ repo: account.did, collection: POST, record })
  const requests: XrpcRequest[] = [
    { nsid: 'app.bsky.feed.getTimeline' },
    { nsid: 'com.atproto.identity.updateHandle', body: '{"handle":"x.test"}' },
    { nsid: 'com.atproto.repo.createRecord', body },
  ]
  let hint = ''
  for (const request of requests) {
    const data = request.body === undefined ? [] : ['-d', request.body as string]
    const result = await runCli(['call', request.nsid, ...data], { home, env })
    expectFailure(result, 7, 'PERMISSION_MISSING')
    const named = /Missing required scope '([^']+)'/.exec(result.stderr)![1]!
    expect(requiredScope(request)).toStrictEqual([named])
    hint = /hint: (.*)$/m.exec(result.stderr)![1]!
    expect(hint).toBe(`atproto-oauth init ${account.did} --scope 'atproto blob:image/png ${named}'`)
  }

  const started = await runShell(hint, { home })
  const callback = await signIn(started.stdout.trim(), account, CONSENT)
  const completed = await runCli(['complete', '--format', 'bundle'], { home, stdin: callback })
  const wider = { ATPROTO_OAUTH_SESSION: completed.stdout }
  const create = ['call', 'com.atproto.repo.createRecord', '-d', body]
  const sent = await sentByUs(world)
  const lacks = await runCli([...create, '--explain'], { home, env })
  const has = await runCli([...create, '--explain'], { home, env: wider })
  expect(await sentByUs(world)).toStrictEqual(sent)
  expect(lacks).toMatchObject({ code: 7, stdout: `missing  repo:${POST}?action=create\n` })
  expect(lacks.stderr).toContain(hint)
  expect(has).toMatchObject({ code: 0, stdout: `granted  repo:${POST}?action=create\n` })

  const called = await runCli(create, { home, env: wider })
  expect(JSON.parse(called.stdout).uri).toContain(`at://${account.did}/${POST}/`)
  expect(completed.stderr).toContain('blob:image/png')
})

test('15.12 scopes denied on the consent screen are listed in full, with the command that requests them again', async () => {
  const account = await world.createAccount()
  const home = await newHome()
  const scope = presetScope(['post-media', 'read'])
  const [create, ...media] = PRESETS['post-media'].tokens
  const decision = { consent: true, scope: `atproto ${create}` } as const
  const { code, stderr } = await runCli(['complete', await callbackFor(account, home, { scope, decision })], { home })
  expect(code).toBe(0)
  expect(stderr).toContain(`scope: atproto ${create}\n`)
  expect(stderr).toContain(`not granted: ${media.join(' ')} ${PRESETS.read.tokens[0]}\n`)
  expect(stderr).toContain(`  atproto-oauth init ${account.handle} --scope '${scope}'\n`)
})

/** Without that of the test's own settings. */
const warnings = (stderr: string) =>
  [...stderr.matchAll(/^atproto-oauth: warning: (?!development mode)(.*)$/gm)].map(([, text]) => text!)
const SET = { type: 'permission-set', title: 'Lexica', 'title:lang': { de: 'Wörter' }, detail: 'All of it' }

test('26.4, 26.5 four permission sets: before the sign-in what they will not grant, after it what came to nothing', async () => {
  const permission = (resource: string, more: object) => ({ type: 'permission', resource, ...more })
  const { namespace, env } = await publishLexicons(world, (name) => {
    const set = (...permissions: object[]) => ({ ...SET, permissions })
    return {
      authWhole: set(permission('repo', { collection: [`${name}.post`], action: ['create'] })),
      authAudience: set(permission('rpc', { lxm: [`${name}.getThing`], inheritAud: true })),
      authOutside: set(permission('repo', { collection: [POST] })),
      authKinds: set(permission('blob', { accept: ['image/*'] }), permission('account', { attr: 'email' })),
    }
  })
  const account = await world.createAccount()
  const home = await newHome()
  const [whole, ...others] = ['Whole', 'Audience', 'Outside', 'Kinds'].map((name) => `include:${namespace}.auth${name}`)
  const [audience, outside, kinds] = others
  const scope = `atproto ${whole} ${others.join(' ')}`
  const started = await runCli(['init', account.handle, '--scope', scope], {
    home,
    env: { ...env, LANG: 'de_DE.UTF-8' },
  })
  expect(started.code).toBe(0)
  expect(started.stderr).toContain(`set      Wörter (${namespace}.authWhole): All of it\n`)
  expect(warnings(started.stderr)).toHaveLength(6)
  for (const text of [
    `${audience} will not grant rpc?lxm=${namespace}.getThing: the service is missing`,
    `${outside} will not grant repo:${POST}: it is outside the namespace of the set, ${namespace}`,
    `${kinds} will not grant blob:image/* account:email: a permission set grants only repo: and rpc: permissions`,
    ...others.map((token) => `${token} will grant nothing`),
  ]) {
    expect(started.stderr).toContain(`atproto-oauth: warning: ${text}`)
  }

  const finish = async (url: string) => {
    const result = await runCli(['complete', '--format', 'bundle'], {
      home,
      stdin: await signIn(url, account, CONSENT),
    })
    expect(result.code).toBe(0)
    return { ...result, warned: warnings(result.stderr).map((text) => text.replace(/;.*/, '')) }
  }
  const all = await finish(started.stdout.trim())
  expect(all.stderr).toContain(`scope: repo:${namespace}.post?action=create atproto\n`)
  const empty = others.map((token) => `nothing was granted from the permission set ${token}`)
  expect(all.warned).toStrictEqual(empty)
  // Where the sets cannot be read, what was granted shows it. The server has kept them.
  const elsewhere = { home, env: await world.leadText(`_lexicon.none.fake.dev`, 'none') }
  const again = await runCli(['init', account.handle, '--scope', `atproto ${others.join(' ')}`], elsewhere)
  expect(warnings(again.stderr)).toHaveLength(others.length)
  for (const warned of warnings(again.stderr)) {
    expect(warned).toMatch(
      /cannot be resolved: no TXT record with did= at .*; the server accepted it, and may grant nothing/,
    )
  }
  expect((await finish(again.stdout.trim())).warned).toStrictEqual(empty)
})

test('26.6 a grant with a permission set that is not expanded: unknown, and nothing is sent', async () => {
  const home = await newHome()
  const { credentials } = await complete(await callbackFor(await world.createAccount(), home), library(world, home))
  // This server expands permission sets.
  const unexpanded = { ...credentials, scope: 'atproto include:app.bsky.authFullApp' }
  const env = { ATPROTO_OAUTH_SESSION: formatCredentials(unexpanded, 'bundle') }
  const sent = await sentByUs(world)
  const create = [
    'call',
    'com.atproto.repo.createRecord',
    'repo={did}',
    `collection=${POST}`,
    'record:={}',
    '--explain',
  ]
  const explained = await runCli(create, { home, env })
  expect(explained).toMatchObject({ code: 0, stdout: `unknown  repo:${POST}?action=create\n` })
  expect(explained.stderr).toContain('did not expand: what it contains is unknown')
  const blob = ['call', 'com.atproto.repo.uploadBlob', '-d', 'x', '-H', 'content-type: image/png', '--explain']
  expect(await runCli(blob, { home, env })).toMatchObject({ code: 7, stdout: 'missing  blob:image/png\n' })
  expect(await sentByUs(world)).toStrictEqual(sent)
})

test('26.2 a space: permission, which this server drops, and transition:email, which it grants', async () => {
  const account = await world.createAccount()
  const home = await newHome()
  const scope = 'atproto space:com.example.forum?authority=*&action=read transition:email'
  const started = await runCli(['init', account.handle, '--scope', scope], { home })
  expect(started.stderr).toContain('spaces   of type com.example.forum of any account: read records\n')
  const stdin = await signIn(started.stdout.trim(), account, CONSENT)
  const { code, stderr } = await runCli(['complete', '--save', 'store'], { home, stdin })
  expect(code).toBe(0)
  expect(warnings(stderr)).toStrictEqual([
    'not granted, because the server does not support it: space:com.example.forum?authority=*&action=read (spaces of type com.example.forum of any account: read records)',
  ])
  expect(stderr).not.toContain('consent screen')
})

// PDS 0.4 has no limit.
test.skipIf(!isNewest)('26.10 a request that is too large for the server', async () => {
  const account = await world.createAccount()
  const home = await newHome()
  const collections = Array.from(
    { length: 900 },
    (_, index) => `collection=com.example.records${'x'.repeat(30)}.type${index}`,
  )
  const scope = `atproto repo?${collections.join('&')}`
  const refused = await runCli(['init', account.handle, '--scope', scope], { home })
  expectFailure(refused, 4, 'PAR_REFUSED')
  expect(refused.stderr).toMatch(/rejected the authorization request: 413.*; its \d+ bytes are too many/)
  expect(refused.stderr).toContain('hint: request fewer permissions with --scope')
})
