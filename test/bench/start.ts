/**
 * What a start costs: `--version` and `--help`, a warm call, how many requests a command makes, how much memory. With the
 * argument `encryption`, only a warm call from a store that is encrypted in each way.
 */
import { randomBytes } from 'node:crypto'
import { cp, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { toNodeSession } from '../../src/credentials/node-session.ts'
import { complete } from '../../src/login/complete.ts'
import { init } from '../../src/login/init.ts'
import { systemKeychain } from '../../src/node/keychain/system.ts'
import { nodeRuntime } from '../../src/node/runtime.ts'
import { changeStoreEncryption } from '../../src/node/store/change-encryption.ts'
import { saveSession } from '../../src/session/saving.ts'
import { lacksSecretService, openSecretService } from '../support/secret-service.ts'
import { createHome, LAUNCHER, runCli } from '../world/cli.ts'
import { signIn } from '../world/person.ts'
import { startWorld } from '../world/start.ts'
import { connectWorld, type World } from '../world/world.ts'
import { compare, type Program, peakMemory } from './processes.ts'

const PASSPHRASE = 'correct horse battery staple'
/** Fewer than elsewhere: the differences are large. */
const PAIRS_ENCRYPTED = 7
const METHOD = 'com.atproto.repo.listRecords'
const BARE_FETCH = `const response = await fetch(process.argv[2]); process.stdout.write(await response.text())`
const BARE_HTTP = `require('node:http').get(process.argv[2], (response) => response.pipe(process.stdout))`
/** Of the processor time of a warm call to that of the least that sends the same request. */
const CALL_LIMIT = 1.4
const MEMORY_LIMIT = 60
const OFFICIAL = fileURLToPath(new URL('official.mjs', import.meta.url))

const started = await startWorld()
const home = await createHome()
try {
  await measure(connectWorld(started.addresses))
} finally {
  await home.remove()
  await started.stop()
}

async function measure(world: World): Promise<void> {
  // What speaks with the servers from this process comes first: while others run it hears nothing, and the servers hang up.
  const isPart = process.argv[2] === 'encryption'
  const counted = isPart ? [] : await requests(world)
  const { did, clientId, session, env } = await signedIn(world)
  const nothing: Program = { name: 'node -e 0', args: ['-e', '0'] }
  say('Start, medians of paired runs on this machine:')
  const line = (first: Program, second: Program, limit: string) => {
    const { ratio, first: ours, second: theirs } = compare(first, second)
    const times = `${ours.toFixed(0).padStart(5)} ms   ${second.name} ${theirs.toFixed(0)} ms`
    say(`  ${first.name.padEnd(14)}${times}   ratio ${ratio.toFixed(2)} (wanted: ${limit})`)
  }
  for (const flag of isPart ? [] : ['--version', '--help'])
    line({ name: flag, args: [LAUNCHER, flag] }, nothing, 'at most 1.3')

  const query = { repo: did, collection: 'app.bsky.feed.post' }
  const path = `/xrpc/${METHOD}?${new URLSearchParams(query)}`
  const fields = Object.entries(query).map(([name, value]) => `${name}=${value}`)
  const call: Program = { name: 'call', args: [LAUNCHER, 'call', METHOD, ...fields], env }
  if (isPart) return measureEncryption(call)
  const bare = join(home.path, 'bare.mjs')
  const stored = join(home.path, 'session.json')
  await writeFile(bare, BARE_FETCH)
  const bareHttp = join(home.path, 'bare.cjs')
  await writeFile(bareHttp, BARE_HTTP)
  await writeFile(stored, JSON.stringify(session))
  const servers = [world.plcUrl, world.handleResolverUrl]
  const official: Program = { name: 'oauth-client', args: [OFFICIAL, stored, clientId, did, path, ...servers] }
  const fetching: Program = { name: 'bare fetch', args: [bare, `${world.pdsUrl}${path}`] }
  line(call, fetching, 'at most 1.5')
  const { cpu, first, second } = compare(call, { name: 'bare node:http', args: [bareHttp, `${world.pdsUrl}${path}`] })
  say(
    `  call          ${first.toFixed(0).padStart(5)} ms   bare node:http ${second.toFixed(0)} ms   ratio of processor time ${cpu.toFixed(2)} (wanted: at most ${CALL_LIMIT})`,
  )
  line(official, fetching, 'nothing, it is theirs: @atproto/oauth-client-node')
  line(call, official, 'less than 1')
  await measureSettings(call, did)
  await measureEncryption(call)

  say('\nMemory, MiB resident at its largest:')
  for (const program of [nothing, call, official])
    say(`  ${program.name.padEnd(14)}${String(peakMemory(program)).padStart(5)}`)
  say(`  (wanted of a warm call: at most ${MEMORY_LIMIT})`)
  if (cpu > CALL_LIMIT || peakMemory(call) > MEMORY_LIMIT) process.exitCode = 1

  say('\nRequests of a command:')
  for (const [name, count] of counted) say(`  ${name.padEnd(28)}${String(count).padStart(3)}`)
}

/** The same call with every setting in the file, in place of variables. */
async function measureSettings(call: Program, did: string): Promise<void> {
  const { ATPROTO_OAUTH_PLC_URL: plcUrl, ATPROTO_OAUTH_HANDLE_RESOLVER: handleResolver, ...env } = call.env ?? {}
  const client = 'https://client.example.com'
  const settings = {
    'client-id': `${client}/oauth-client-metadata.json`,
    'redirect-uri': `${client}/callback`,
    account: did,
    save: ['store'],
    'plc-url': plcUrl,
    'handle-resolver': handleResolver,
    'encrypt-store': 'off',
  }
  // A folder without settings, and one with: the session is the same.
  const state = join(home.path, 'with-settings')
  await cp(home.state, state, { recursive: true })
  await writeFile(join(state, 'config.json'), JSON.stringify(settings), { mode: 0o600 })
  const named: Program = { ...call, name: 'call, settings', env: { ...env, ATPROTO_OAUTH_HOME: state } }
  const { first, second } = compare(named, call)
  say(`  with settings  ${(first - second).toFixed(1)} ms more than without (wanted: at most 5)`)
}

/** The same call from stores that are encrypted in each way. */
async function measureEncryption(call: Program): Promise<void> {
  say('\nA warm call from an encrypted store, and from one that is not:')
  const measured = async (name: string, mode: 'passphrase' | 'keychain', more: Record<string, string>) => {
    const state = join(home.path, `encrypted-${name}`)
    await cp(home.state, state, { recursive: true })
    const keychain = await systemKeychain({ environment: { ...process.env, ...more }, isInteractive: false })
    const passphrase = more['ATPROTO_OAUTH_STORE_KEY']
    await changeStoreEncryption(state, mode, { keychain, passphrase, elsewhere: [] })
    const encrypted: Program = { ...call, name, env: { ...call.env, ATPROTO_OAUTH_HOME: state, ...more } }
    const { first, second } = compare(encrypted, call, PAIRS_ENCRYPTED)
    const times = [first, second, first - second].map((time) => time.toFixed(0).padStart(5))
    say(`  ${name.padEnd(14)}${times[0]} ms   plain ${times[1]} ms   ${times[2]} ms more`)
  }
  await measured('passphrase', 'passphrase', { ATPROTO_OAUTH_STORE_KEY: PASSPHRASE })
  await measured('generated key', 'passphrase', { ATPROTO_OAUTH_STORE_KEY: randomBytes(32).toString('base64') })
  if (lacksSecretService()) return
  const service = await openSecretService()
  await measured('keychain', 'keychain', service.env).finally(() => service.close())
}

/** An account whose session is in the store of `home`, and another of its sessions as the official library keeps it. */
async function signedIn(world: World) {
  const { plcUrl, handleResolverUrl: handleResolver } = world
  const ports = nodeRuntime({ dev: true, plcUrl, handleResolver, home: home.state, save: ['store'] })
  const account = await world.createAccount()
  const logIn = async () => {
    const { authorizationUrl } = await init(account.handle, { scope: 'atproto transition:generic' }, ports)
    return complete(await signIn(authorizationUrl.href, account, { consent: true }), ports)
  }
  const theirs = await logIn()
  const ours = await logIn()
  await saveSession(ours.credentials, undefined, ports)
  const env = {
    ATPROTO_OAUTH_HOME: home.state,
    ATPROTO_OAUTH_DEV: '1',
    ATPROTO_OAUTH_PLC_URL: plcUrl,
    ATPROTO_OAUTH_HANDLE_RESOLVER: handleResolver,
    TMPDIR: home.path, // rescued sessions are looked for there, and that of the machine may have thousands of files
  }
  return { did: account.did, clientId: theirs.credentials.clientId!, session: toNodeSession(theirs.credentials), env }
}

/** From a handle to the end of a session, each command as a process of its own. */
async function requests(world: World): Promise<[name: string, count: number][]> {
  const account = await world.createAccount()
  const counted: [string, number][] = []
  const run = async (name: string, args: readonly string[], stdin?: string) => {
    await world.clearRequests()
    const { code, stdout, stderr } = await runCli(args, { home, stdin, world })
    if (code !== 0) throw new Error(`${name}: ${stderr}`)
    const ours = await world.requests(({ userAgent }) => userAgent?.startsWith('atproto-oauth/') === true)
    counted.push([name, ours.length])
    return stdout
  }
  const named = ['--account', account.did]
  const url = await run('init <handle>', ['init', account.handle])
  const callback = await signIn(url.trim(), account, { consent: true })
  await run('complete', ['complete', '--save', 'store'], callback)
  await run('call, the first', ['call', 'com.atproto.server.getSession', ...named])
  await run('call, warm', ['call', 'com.atproto.server.getSession', ...named])
  await run('status', ['status', ...named])
  await run('refresh', ['refresh', ...named])
  await run('lease', ['lease', ...named])
  await run('revoke', ['revoke', ...named])
  return counted
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}
