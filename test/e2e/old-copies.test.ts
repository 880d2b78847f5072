/** A store that was restored from a backup has spent tokens, whatever state it was in at that time. */
import { cp, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { hintOf } from '../../src/cli/errors.ts'
import { OAuthClient, type OAuthError } from '../../src/index.ts'
import { type Home, runCli, runShell } from '../world/cli.ts'
import { connectWorld } from '../world/world.ts'
import { expectFailure, keptInStore, logIn, newHome, sentByUs } from './support.ts'

const world = connectWorld()
const GET_SESSION = ['call', 'com.atproto.server.getSession']

async function session(): Promise<{ home: Home; backUp(): Promise<void>; swap(): Promise<void> }> {
  const { home } = await keptInStore(world)
  onTestFinished(() => home.remove())
  const [current, backup] = [`${home.state}.current`, `${home.state}.backup`]
  return {
    home,
    backUp: () => cp(home.state, backup, { recursive: true }),
    async swap() {
      await cp(home.state, current, { recursive: true })
      await rm(home.state, { recursive: true })
      await cp(backup, home.state, { recursive: true })
    },
  }
}

async function refreshed(home: Home): Promise<void> {
  expect(await runCli(['refresh'], { home })).toMatchObject({ code: 0 })
}

/** The one that was set aside is still good. */
async function expectAlive(home: Home): Promise<void> {
  await rm(home.state, { recursive: true })
  await cp(`${home.state}.current`, home.state, { recursive: true })
  expect(await runCli(['refresh'], { home })).toMatchObject({ code: 0 })
  expect(await runCli(GET_SESSION, { home })).toMatchObject({ code: 0 })
}

test('restored with credentials that were not saved to their target yet: nothing is saved or sent', async () => {
  const { home, backUp, swap } = await session()
  const [full, target] = [join(home.path, 'full'), join(home.path, 'target')]
  await writeFile(full, '')
  const save = `exec:test ! -e '${full}' || test ! -e '${target}' && cat > '${target}'`
  expectFailure(await runCli(['refresh', '--save', save], { home }), 10, 'SAVE_FAILED')
  await backUp()
  await rm(full)
  await refreshed(home)
  await refreshed(home)
  const saved = await readFile(target, 'utf8')
  await swap()
  await world.clearRequests()
  for (const command of [['refresh'], GET_SESSION, ['export', '--keep']]) {
    expectFailure(await runCli(command, { home }), 2, 'SESSION_OUTDATED')
  }
  expect(await readFile(target, 'utf8')).toBe(saved)
  expect(await sentByUs(world)).toStrictEqual([])
  await expectAlive(home)
})

test('restored with an access token that is still good: its refresh token is not given away', async () => {
  const { home, backUp, swap } = await session()
  await refreshed(home)
  await backUp()
  await refreshed(home)
  await swap()
  for (const command of [
    ['export'],
    ['export', '--keep'],
    ['refresh', '--if-older-than', '1d', '--format', 'dotenv'],
  ]) {
    expectFailure(await runCli(command, { home }), 2, 'SESSION_OUTDATED')
  }
  await expectAlive(home)
})

test('from another machine: the hint adopts the store that the command used, whatever else is in it', async () => {
  const { home } = await session()
  const other = await keptInStore(world)
  onTestFinished(() => other.home.remove())
  await cp(join(other.home.state, 'sessions'), join(home.state, 'sessions'), { recursive: true })
  await writeFile(join(home.state, 'machine.json'), '{"machine":"another"}')
  // Containers have no lasting name.
  const preload = join(home.path, 'machine.mjs')
  await writeFile(
    preload,
    `import fs from 'node:fs'
     import { syncBuiltinESMExports } from 'node:module'
     fs.existsSync = ((real) => (path) => !/(?:docker|container)env$/.test(path) && real(path))(fs.existsSync)
     fs.promises.readFile = ((read) => (path, ...more) =>
       path === '/etc/machine-id' ? Promise.resolve('0'.repeat(32)) : read(path, ...more))(fs.promises.readFile)
     syncBuiltinESMExports()`,
  )
  const env = { ATPROTO_OAUTH_HOME: undefined, NODE_OPTIONS: `--import ${preload}` }
  const refresh = ['refresh', '--home', home.state, '--account', other.account.did]
  const refused = await runCli(refresh, { home, env })
  expectFailure(refused, 2, 'STORE_COPIED')
  const hint = /: (atproto-oauth .*)$/m.exec(refused.stderr.split('hint')[1]!)?.[1]
  expect(hint).toContain(`--home ${home.state}`)
  await runShell(hint!.replace(/ --account \S+/, ''), { home, env })
  expect(await runCli(refresh, { home, env })).toMatchObject({ code: 0 })
})

test('a session that another machine has refreshed and ended: not the clock is blamed, and the hint finds it out', async () => {
  const { home, env } = await logIn(world)
  const clientIn = ({ state }: Home) => {
    const { plcUrl, handleResolverUrl: handleResolver } = world
    return new OAuthClient({ home: state, plcUrl, handleResolver, dev: true })
  }
  const waiting = await clientIn(home).restore(env)
  await waiting.refresh()
  const other = await clientIn(home).restore(env)
  await other.refresh()
  await (await clientIn(await newHome()).restore(other.export())).signOut()

  const error = await waiting.query('com.atproto.server.getSession').catch((thrown: OAuthError) => thrown)
  expect(error).toMatchObject({ code: 'XRPC_ERROR', facts: { reason: 'new-token-refused', isClockRight: true } })
  const hint = hintOf(error as OAuthError, 'call')
  expect(hint).toBe('find out whether the session has ended: atproto-oauth refresh')
  expectFailure(await runShell(hint.replace(/^.*: /, ''), { home, env }), 5, 'SESSION_DEAD')
})
