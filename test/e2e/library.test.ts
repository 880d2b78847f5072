import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { packageFolder } from '../package/packed.ts'
import { signIn } from '../world/person.ts'
import { connectWorld } from '../world/world.ts'
import { CONSENT, newHome } from './support.ts'

const world = connectWorld()
const OURS = fileURLToPath(new URL('../../node_modules', import.meta.url))

/** A program of somebody who has installed the package and read its README. */
const PROGRAM = `
import { once } from 'node:events'
import { complete, init, isOAuthError, nodeRuntime, openSession } from 'atproto-oauth'

const [handle, plcUrl, handleResolver, home] = process.argv.slice(2)
const world = nodeRuntime({ dev: true, plcUrl: plcUrl!, handleResolver: handleResolver!, home: home! })

const { authorizationUrl } = await init(handle!, { scope: 'atproto transition:generic' }, world)
process.stdout.write(authorizationUrl.href + '\\n')
const [callback] = await once(process.stdin, 'data')

const { credentials, grantedScope } = await complete(String(callback), world)
const session = await openSession(credentials, world)
const record = { $type: 'app.bsky.feed.post', text: 'from a program', createdAt: new Date().toISOString() }
const created = await session.call({
  nsid: 'com.atproto.repo.createRecord',
  body: JSON.stringify({ repo: session.did, collection: 'app.bsky.feed.post', record }),
})
const profile = await session.fetchHandler('/xrpc/app.bsky.actor.getProfile?actor=' + session.did)
const again = await complete(String(callback), world).catch((error) => error)
process.stdout.write(
  JSON.stringify({
    did: session.did,
    grantedScope,
    created: [created.status, await created.json()],
    profile: await profile.json(),
    again: isOAuthError(again, 'CODE_USED') && again.session,
  }),
)
process.stdin.destroy()
`

test('the library, used as a stranger would, on the real servers', async () => {
  const account = await world.createAccount()
  const home = await newHome()
  await mkdir(join(home.path, 'node_modules'))
  await symlink(packageFolder(), join(home.path, 'node_modules', 'atproto-oauth'))
  await writeFile(join(home.path, 'package.json'), '{"type":"module"}')
  await writeFile(join(home.path, 'program.mts'), PROGRAM)

  // Its types first: a stranger compiles against the declarations that are published.
  const tsc = join(OURS, 'typescript', 'bin', 'tsc')
  const flags = '--module nodenext --target es2023 --strict --exactOptionalPropertyTypes --types node'.split(' ')
  const roots = ['--typeRoots', join(OURS, '@types')]
  await promisify(execFile)(process.execPath, [tsc, ...flags, ...roots, 'program.mts'], { cwd: home.path })

  const node = process.env['ATPROTO_OAUTH_TEST_NODE'] ?? process.execPath
  const args = ['program.mjs', account.handle, world.plcUrl, world.handleResolverUrl, home.state]
  const child = spawn(node, args, { cwd: home.path, stdio: ['pipe', 'pipe', 'pipe'] })
  const errors = text(child.stderr)
  const [line] = (await once(child.stdout, 'data')) as [Buffer]
  const output = text(child.stdout)
  child.stdin.write(await signIn(line.toString().trim(), account, CONSENT))
  expect(await once(child, 'exit'), await errors).toStrictEqual([0, null])
  expect(JSON.parse(await output)).toMatchObject({
    did: account.did,
    grantedScope: 'atproto transition:generic',
    created: [200, { uri: expect.stringContaining(account.did) }],
    profile: { did: account.did },
    again: 'alive',
  })
})
