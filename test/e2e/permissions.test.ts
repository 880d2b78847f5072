/** Permissions through the built CLI, on the real PDS: what is asked for, what a refusal asks for, what a person leaves out. */
import { expect, test } from 'vitest'
import { PRESETS, presetScope } from '../../src/protocol/scope/presets.ts'
import type { XrpcRequest } from '../../src/protocol/xrpc/request.ts'
import { requiredScope } from '../../src/protocol/xrpc/required-scope.ts'
import { runCli, runShell } from '../world/cli.ts'
import { signIn } from '../world/person.ts'
import { connectWorld } from '../world/world.ts'
import { CONSENT, callbackFor, expectFailure, logIn, newHome, sentByUs } from './support.ts'

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
    const named = /Missing required scope "([^"]+)"/.exec(result.stderr)![1]!
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
  const [create, blobs] = PRESETS['post-media'].tokens
  const decision = { consent: true, scope: `atproto ${create}` } as const
  const { code, stderr } = await runCli(['complete', await callbackFor(account, home, { scope, decision })], { home })
  expect(code).toBe(0)
  expect(stderr).toContain(`scope: atproto ${create}\n`)
  expect(stderr).toContain(`not granted: ${blobs} ${PRESETS.read.tokens[0]}\n`)
  expect(stderr).toContain(`  atproto-oauth init ${account.handle} --scope '${scope}'\n`)
})
