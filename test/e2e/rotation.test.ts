/** The single use of refresh tokens, as the real server enforces it. */
import { cp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { parse } from 'dotenv'
import { describe, expect, test } from 'vitest'
import { openStoredSession } from '../../src/session/open.ts'
import { type Home, runCli } from '../world/cli.ts'
import { connectWorld } from '../world/world.ts'
import { callbackFor, expectFailure, type LoggedIn, library, logIn, newHome, sentByUs } from './support.ts'

const world = connectWorld()
const GET_SESSION = ['call', 'com.atproto.server.getSession']
const TOKEN = 'ATPROTO_OAUTH_REFRESH_TOKEN'
const KEY = 'ATPROTO_OAUTH_DPOP_PRIVATE_JWK'

test('11.2 fifty rotations in a row, and each token was a new one', async () => {
  const { account, home, env } = await logIn(world)
  const cli = async () => expect((await runCli(['refresh'], { home, env })).code).toBe(0)
  for (let round = 0; round < 2; round += 1) await cli()
  const ours = library(world, home)
  const session = await openStoredSession(account.did, ours)
  for (let round = 0; round < 46; round += 1) await session.refresh()
  for (let round = 0; round < 2; round += 1) await cli() // whose environment still has the first token

  const [record] = await ours.stores.sessions.list()
  expect(new Set(record?.spentTokens).size).toBe(50)
  const called = await runCli(GET_SESSION, { home, env })
  expect(JSON.parse(called.stdout)).toMatchObject({ did: account.did })
})

test('11.3 a token used twice: who comes late is told, and so is who had the newest', async () => {
  const { account, home, env } = await logIn(world)
  expect((await runCli(['refresh'], { home, env })).code).toBe(0)

  const late = await newHome()
  const replayed = await runCli(['refresh'], { home: late, env })
  expectFailure(replayed, 5, 'SESSION_DEAD')
  expect(replayed.stderr).toContain('the refresh token was already used: by another process or machine')
  expect(replayed.stderr).toContain('session: ended')
  expect(replayed.stderr).toContain(`hint: atproto-oauth init ${account.did}`)
  const json = await runCli(['refresh', '--json'], { home: late, env })
  expect(JSON.parse(json.stderr)).toMatchObject({ code: 'SESSION_DEAD', exit: 5, session: 'dead' })

  // Its access token is minutes old, and dead all the same.
  const winner = await runCli(GET_SESSION, { home, env })
  expectFailure(winner, 5, 'SESSION_DEAD')
  expect(winner.stderr).toContain(`hint: atproto-oauth init ${account.did}`)
  await world.clearRequests()
  for (const command of [GET_SESSION, ['refresh']]) {
    expectFailure(await runCli(command, { home, env }), 5, 'SESSION_DEAD')
  }
  expect(await sentByUs(world)).toStrictEqual([])
})

test('a store that was restored from a backup sends nothing, and goes on from its newest copy', async () => {
  const { account, home, env } = await logIn(world)
  const refresh = () => runCli(['refresh'], { home })
  expect((await runCli(['refresh'], { home, env })).code).toBe(0)
  const [backup, newest] = ['backup', 'newest'].map((name) => join(home.path, name)) as [string, string]
  const restore = async (copy: string) => {
    await rm(home.state, { recursive: true })
    await cp(copy, home.state, { recursive: true })
  }
  await cp(home.state, backup, { recursive: true })
  expect((await refresh()).code).toBe(0)
  await cp(home.state, newest, { recursive: true })

  await restore(backup)
  await world.clearRequests()
  const outdated = await refresh()
  expectFailure(outdated, 2, 'SESSION_OUTDATED')
  expect(outdated.stderr).toContain(`atproto-oauth init ${account.did}`)
  expect(outdated.stderr).toContain('session: unknown: this is an old copy of its tokens')
  expect((await sentByUs(world)).filter((request) => request.endsWith('/oauth/token'))).toStrictEqual([])
  await restore(newest)
  expect((await refresh()).code).toBe(0)
})

describe('11.4 the token of one session with the key of another', () => {
  const mix = (one: LoggedIn, two: LoggedIn) => ({ ...one.env, [KEY]: two.env[KEY] })
  const works = async (home: Home, { account, env }: LoggedIn) => {
    const { stdout, stderr } = await runCli(GET_SESSION, { home, env })
    expect(stdout, stderr).toContain(account.did)
  }

  test.each(['the token', 'the key'])('%s is known here: nothing is sent, and both live on', async (known) => {
    const [one, two] = [await logIn(world), await logIn(world)]
    const home = await newHome()
    await works(home, known === 'the token' ? one : two)
    await world.clearRequests()
    const mixed = await runCli(['refresh'], { home, env: mix(one, two) })
    expectFailure(mixed, 2, 'CREDENTIALS_MISMATCH')
    expect(mixed.stderr).toContain('nothing was sent')
    expect(mixed.stderr).toContain('session: still valid')
    expect(await sentByUs(world)).toStrictEqual([])
    for (const session of [one, two]) await works(home, session)
  })

  test('neither is known: the server ends the one, and the other is not locked out', async () => {
    const [one, two] = [await logIn(world), await logIn(world)]
    const home = await newHome()
    expectFailure(await runCli(['refresh'], { home, env: mix(one, two) }), 5, 'SESSION_DEAD')
    await world.clearRequests()
    const corrected = await runCli(GET_SESSION, { home, env: one.env })
    expectFailure(corrected, 5, 'SESSION_DEAD')
    expect(corrected.stderr).toContain('sent with another DPoP key')
    expect(corrected.stderr).toContain(`hint: atproto-oauth init ${one.account.did}`)
    expect(await sentByUs(world)).toStrictEqual([])
    await works(home, two)
  })

  test('two sessions of one account: nothing is sent where the token is known, and the key’s own session is kept', async () => {
    const one = await logIn(world)
    const home = await newHome()
    const second = await runCli(['complete', await callbackFor(one.account, home)], { home })
    const two = { ...one, home, env: parse(second.stdoutBytes) }
    await works(home, two)

    // Only the key is known. Without a count the token may be older or newer than the stored one.
    const { ATPROTO_OAUTH_ROTATION, ...uncounted }: Record<string, string | undefined> = mix(one, two)
    await world.clearRequests()
    const tried = await runCli(['refresh'], { home, env: uncounted })
    expectFailure(tried, 2, 'COPIES_DIFFER')
    expect(await sentByUs(world)).toStrictEqual([])
    await works(home, two)

    // A count that is not larger says that the stored one is newer; a larger one lets the server decide.
    expect((await runCli(['refresh'], { home, env: { ...uncounted, ATPROTO_OAUTH_ROTATION } })).code).toBe(0)
    const larger = { ...uncounted, ATPROTO_OAUTH_ROTATION: '9' }
    const refused = await runCli(['refresh'], { home, env: larger })
    expectFailure(refused, 5, 'SESSION_DEAD', 'unknown')
    expect(refused.stderr).toContain('the stored one was not sent')
    expect((await runCli(['refresh'], { home, env: larger })).code).toBe(0) // as the hint says
    await works(home, two)

    // The other way round: what is given is the token that is stored here, with a key that is not.
    await world.clearRequests()
    expectFailure(await runCli(['refresh'], { home, env: mix(two, one) }), 2, 'CREDENTIALS_MISMATCH')
    expect(await sentByUs(world)).toStrictEqual([])
    await works(home, two)
  })

  test('a bundle names its key: nothing is sent, whatever is known', async () => {
    const [one, two] = [await logIn(world), await logIn(world)]
    const printed = await runCli(['refresh', '--format', 'bundle'], one)
    const content = JSON.parse(Buffer.from(printed.stdout, 'base64url').toString())
    const forged = { ...content, dpopPrivateJwk: JSON.parse(two.env[KEY]!) }
    const env = { ATPROTO_OAUTH_SESSION: Buffer.from(JSON.stringify(forged)).toString('base64url') }
    await world.clearRequests()
    const mixed = await runCli(['refresh'], { home: await newHome(), env })
    expectFailure(mixed, 2, 'CREDENTIALS_MISMATCH')
    expect(await sentByUs(world)).toStrictEqual([])
    expect(printed.stdout).not.toContain(one.env[TOKEN])
    await works(one.home, one)
  })
})
