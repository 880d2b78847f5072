/**
 * Several accounts in one store. And what becomes of an account under a session: another handle, another owner of the old
 * one, deactivation.
 */
import { mkdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { runCli } from '../world/cli.ts'
import { isNewest } from '../world/packages.ts'
import { type Account, connectWorld, uniqueHandle } from '../world/world.ts'
import { callbackFor, expectFailure, keptInStore, logIn, newHome } from './support.ts'
import { newVault, stored, vaultSession } from './vault-support.ts'

const world = connectWorld()
const GET_SESSION = ['call', 'com.atproto.server.getSession']

/** As the account's owner does it in an app, with the password. */
async function withPassword({ did, password }: Account, nsid: string, body: object): Promise<void> {
  const post = (name: string, token: string | undefined, content: object) =>
    fetch(`${world.pdsUrl}/xrpc/${name}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) },
      body: JSON.stringify(content),
    })
  const created = await post('com.atproto.server.createSession', undefined, { identifier: did, password })
  const { accessJwt } = (await created.json()) as { accessJwt: string }
  const response = await post(nsid, accessJwt, body)
  expect(response.status, await response.text()).toBe(200)
}

test('a handle that was given away: nothing is selected by it, and {handle} is the new one', async () => {
  const { account, home } = await keptInStore(world)
  try {
    const handle = uniqueHandle('new')
    await withPassword(account, 'com.atproto.identity.updateHandle', { handle })
    const other = await world.createAccount({ handle: account.handle })

    const described = await runCli(['call', 'com.atproto.repo.describeRepo', 'repo={handle}'], { home })
    expect(JSON.parse(described.stdout)).toMatchObject({ did: account.did, handle })
    expect((await runCli(['status'], { home })).stdout).toContain(`${handle} (${account.did})`)
    const selected = await runCli([...GET_SESSION, '--account', account.handle], { home })
    expectFailure(selected, 5, 'SESSION_MISSING')
    expect(selected.stderr).toContain(`${account.handle} now belongs to ${other.did}`)
    expect((await runCli([...GET_SESSION, '--account', handle], { home })).code).toBe(0)

    const env = { ATPROTO_OAUTH_HANDLE_RESOLVER: 'http://127.0.0.1:1' }
    const offline = await runCli([...GET_SESSION, '--account', account.handle], { home, env })
    expect(offline.code).toBe(0)
    expect(offline.stderr).toContain(`warning: ${account.handle} was the handle of ${account.did}`)

    expect((await runCli(['refresh'], { home })).code).toBe(0)
    const status = await runCli(['status', '--json'], { home })
    expect(JSON.parse(status.stdout)).toMatchObject({ handle })
  } finally {
    await home.remove()
  }
})

test('26.14 a deactivated account: its state, and where it is changed', async () => {
  const { account, home, env } = await logIn(world)
  expect((await runCli(GET_SESSION, { home, env })).code).toBe(0)
  await withPassword(account, 'com.atproto.server.deactivateAccount', {})
  const args = ['call', 'com.atproto.repo.createRecord', 'repo={did}', 'collection=a.b.c', 'record:={"$type":"a.b.c"}']
  const result = await runCli(args, { home, env })
  expectFailure(result, 8, 'XRPC_ERROR', 'unknown')
  expect(result.stderr).toContain(`${account.did} is deactivated at ${world.pdsUrl}, and has not moved`)
  expect(result.stderr).toContain('hint: reactivate the account with its password')

  const stdin = `${JSON.stringify({ nsid: args[1], input: { repo: '{did}', collection: 'a.b.c', record: { $type: 'a.b.c' } } })}\n`
  const batch = await runCli(['call', '--batch', '-'], { home, env, stdin })
  expect(batch.code).toBe(8)
  expect(JSON.parse(batch.stdout).message).toContain(`${account.did} is deactivated at ${world.pdsUrl}`)
  expect(batch.stderr).toContain('hint: reactivate the account with its password')
})

test('26.17 a service token for a bare DID: the service to name', async () => {
  const { account, env } = await logIn(world, 'atproto rpc:app.bsky.feed.getTimeline?aud=did:web:a.dev%23b')
  const home = await newHome()
  const call = ['call', 'com.atproto.server.getServiceAuth', 'lxm=app.bsky.feed.getTimeline']
  const result = await runCli([...call, 'aud=did:web:a.dev'], { home, env })
  expectFailure(result, 7, 'PERMISSION_MISSING')
  expect(result.stderr).toContain("hint: name the service, as in aud='did:web:a.dev#b' ")
  expect(result.stderr).toContain(`atproto-oauth init ${account.did} --scope 'atproto rpc:`)
  expect(result.stderr).toContain('rpc:app.bsky.feed.getTimeline?aud=*')
  // Older servers take a bare DID only.
  if (isNewest) expect((await runCli([...call, 'aud=did:web:a.dev#b'], { home, env })).code).toBe(0)

  const upload = ['call', 'com.atproto.repo.uploadBlob', '--upload', '-', '-H', 'content-type: */*']
  const sent = await runCli(upload, { home, env, stdin: 'x' })
  expectFailure(sent, 2, 'USAGE')
  expect(sent.stderr).toContain('hint: write the media type of the file')
})

test('the scope of a new login is the requested one and what is missing, also with separate variables', async () => {
  const { account, env } = await logIn(world, 'atproto repo:a.b.c?action=create')
  const body = ['repo={did}', 'collection=x.y.z', 'record:={"$type":"x.y.z"}']
  const result = await runCli(['call', 'com.atproto.repo.createRecord', ...body], { home: await newHome(), env })
  expectFailure(result, 7, 'PERMISSION_MISSING')
  expect(result.stderr).toContain(
    `init ${account.did} --scope 'atproto repo:a.b.c?action=create repo:x.y.z?action=create'`,
  )
})

test('three accounts: listed, one chosen, named and given up', async () => {
  const home = await newHome()
  const accounts: Account[] = []
  for (let count = 0; count < 3; count += 1) {
    const account = await world.createAccount()
    accounts.push(account)
    const stdin = await callbackFor(account, home)
    expect(await runCli(['complete', '--save', 'store'], { home, stdin })).toMatchObject({ code: 0 })
  }
  const [alice, bob, carol] = accounts as [Account, Account, Account]
  const run = (args: readonly string[], env = {}) => runCli(args, { home, env })
  const did = async (args: readonly string[], env = {}) => {
    const result = await run([...GET_SESSION, ...args], env)
    expect(result.code, result.stderr).toBe(0)
    return JSON.parse(result.stdout).did
  }

  const unclear = await run(GET_SESSION)
  expectFailure(unclear, 2, 'ACCOUNT_UNCLEAR', 'none')
  for (const { handle } of accounts) expect(unclear.stderr).toContain(handle)

  const none = JSON.parse((await run(['accounts', '--json'])).stdout)
  expect(none).toHaveLength(3)
  expect(none).toSatisfy((all: { default: boolean; handleIsCurrent: boolean }[]) =>
    all.every((each) => !each.default && each.handleIsCurrent),
  )

  const handle = uniqueHandle('moved')
  await withPassword(bob, 'com.atproto.identity.updateHandle', { handle })
  expect(await run(['accounts', 'use', `@${handle}`])).toMatchObject({ code: 0, stdout: '' })
  expect(await did([])).toBe(bob.did)
  expect(await did(['--account', carol.handle])).toBe(carol.did)
  expect(await did([], { ATPROTO_OAUTH_ACCOUNT: alice.did })).toBe(alice.did)
  expect(await did(['--account', carol.did], { ATPROTO_OAUTH_ACCOUNT: alice.did })).toBe(carol.did)
  const before = await run(['--account', alice.handle, 'whoami'])
  expect(before.stdout).toContain(`${alice.handle} (${alice.did}); scope `)
  const listed = (await run(['accounts'])).stdout.trimEnd().split('\n')
  expect(listed.filter((line) => line.startsWith(`*\t${handle}\t\t${bob.did}\t`))).toHaveLength(1)
  expect(listed.filter((line) => line.startsWith('*'))).toHaveLength(1)

  expect(await run(['accounts', 'name', carol.handle, 'shop'])).toMatchObject({ code: 0 })
  expect(await run(['refresh', '--account', 'shop'])).toMatchObject({ code: 0 })
  expect(await did(['--account', 'shop'])).toBe(carol.did)
  expect((await run(['accounts', '--names'])).stdout.trim().split('\n')).toContain('shop')

  const all = await run(['status', '--all', '--warn-days', '3'])
  expect(all.code, all.stderr).toBe(0)
  expect(all.stdout.match(/^session +alive/gm)).toHaveLength(3)
  expect((await run(['status', '--all', '--warn-days', '30'])).code).toBe(11)

  expect(await run(['revoke'])).toMatchObject({ code: 0 })
  const gone = await run(GET_SESSION)
  expectFailure(gone, 5, 'SESSION_MISSING')
  expect(gone.stderr).toContain(`config.json)`)
  expect(gone.stderr).toContain('hint: choose another account: atproto-oauth accounts use ')
  expect((await run(['accounts', 'use', '--none'])).code).toBe(0)
  expectFailure(await run(GET_SESSION), 2, 'ACCOUNT_UNCLEAR', 'none')
})

test('two sessions of one account with different scopes: the handle means the newest, a name the other', async () => {
  const account = await world.createAccount()
  const home = await newHome()
  for (const scope of ['atproto transition:generic', 'atproto']) {
    const stdin = await callbackFor(account, home, { scope })
    expect(await runCli(['complete', '--save', 'store'], { home, stdin })).toMatchObject({ code: 0 })
  }
  const sessions = JSON.parse((await runCli(['accounts', '--json'], { home })).stdout)
  expect(sessions.map(({ scope, default: isDefault }: Record<string, unknown>) => [scope, isDefault])).toStrictEqual([
    ['atproto', true],
    ['atproto transition:generic', false],
  ])
  const unclear = await runCli(['accounts', 'name', account.handle, 'posts'], { home })
  expectFailure(unclear, 2, 'USAGE')
  const key = sessions[1].thumbprint
  expect(await runCli(['accounts', 'name', key, 'posts'], { home })).toMatchObject({ code: 0 })
  const scopeOf = async (args: readonly string[]) =>
    JSON.parse((await runCli(['whoami', '--json', ...args], { home })).stdout).scope
  expect(await scopeOf(['--account', account.handle])).toBe('atproto')
  expect(await scopeOf(['--account', 'posts'])).toBe('atproto transition:generic')
  expect(await runCli(['accounts', 'use', 'posts'], { home })).toMatchObject({ code: 0 })
  expect(await scopeOf([])).toBe('atproto transition:generic')
})

test('a setting that is not valid is no matter where credentials are given and moved into the vault', async () => {
  const [vault, { env, home }] = [await newVault(), await logIn(world)]
  await mkdir(home.state, { recursive: true, mode: 0o700 })
  const path = join(home.state, 'config.json')
  await writeFile(path, JSON.stringify({ account: 'https://pds.example.com' }), { mode: 0o600 })
  const refresh = (more: object) => runCli(['refresh', '--save', 'vault'], { home, env: { ...vault.env, ...more } })
  const invalid = await refresh({})
  expectFailure(invalid, 2, 'USAGE', 'none')
  expect(invalid.stderr).toContain(`account in ${path}`)
  const moved = await refresh(env)
  expect(moved.code, moved.stderr).toBe(0)
})

test('a session of the vault and one of the store: both are listed, and a name goes to every machine', async () => {
  const vault = await newVault()
  const shared = await vaultSession(world, vault)
  const { account, home } = await keptInStore(world)
  try {
    const { stdout, stderr } = await runCli(['accounts', '--json'], { home, env: vault.env })
    const listed: Record<string, unknown>[] = JSON.parse(stdout)
    expect(listed.map(({ did, kept, default: isDefault }) => ({ did, kept, isDefault }))).toStrictEqual(
      expect.arrayContaining([
        { did: shared.did, kept: 'vault', isDefault: true },
        { did: account.did, kept: 'store', isDefault: false },
      ]),
    )
    expect([listed.length, stderr]).toStrictEqual([2, expect.not.stringContaining('error')])
    const address = vault.env.ATPROTO_OAUTH_VAULT
    expect(listed.find(({ kept }) => kept === 'vault')).toMatchObject({ place: address })

    // What shells complete, without a request: the vault is as this machine has seen it.
    const [moved, unmoved] = [`${vault.repository.folder}.moved`, vault.repository.folder]
    await rename(unmoved, moved)
    const names = async (env: object) =>
      (await runCli(['accounts', '--names'], { home, env: { ...env } })).stdout.trim().split('\n')
    expect(await names(vault.env)).toStrictEqual([shared.handle])
    expect(await names({})).toStrictEqual([account.handle])
    const never = { ...vault.env, ATPROTO_OAUTH_HOME: (await newHome()).state }
    expect(await names(never)).toStrictEqual([''])
    await rename(moved, unmoved)

    const named = await runCli(['accounts', 'name', shared.handle, 'team'], { home, env: vault.env })
    expect(named.code, named.stderr).toBe(0)
    const other = { home: await newHome(), env: vault.env }
    expect((await runCli(['whoami', '--account', 'team'], other)).stdout).toContain(shared.did)
    expect(await runCli(['refresh', '--account', 'team'], other)).toMatchObject({ code: 0 })
    expect(await stored(vault)).toMatchObject({ name: 'team', rotation: 1 })
  } finally {
    await home.remove()
  }
})
