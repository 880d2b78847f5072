/**
 * Kills the built CLI at every step of a command, and has the next ordinary run show what became of it.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { readdir, readFile, stat, utimes } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { afterAll } from 'vitest'
import { generateDpopJwk, importDpopKey } from '../../src/protocol/oauth/dpop.ts'
import {
  createFakeWorld,
  type FakeRequest,
  type FakeSession,
  type FakeWorld,
  type FakeWorldOptions,
} from '../support/fake-atproto.ts'
import { followClock, openSockets, type Sockets, trustedCertificate } from '../support/fake-sockets.ts'
import { CLIENT } from '../support/raw-client.ts'
import { type CliResult, createHome, type Home, spawnCli } from '../world/cli.ts'

const PRELOAD = new URL('kill-at.mjs', import.meta.url).href
const WEEKS = 15 * 24 * 3600

const folder = mkdtempSync(join(tmpdir(), 'atproto-oauth-ca-'))
const certificate = await trustedCertificate(folder)
afterAll(() => rmSync(folder, { recursive: true }))

/** Where a run is killed: before a step of its own, or by the server that has its request. */
export type Kill =
  | { readonly at: number; readonly label: string }
  | {
      readonly request: number
      readonly when: 'before it is handled' | 'before it is answered'
      readonly label: string
    }

export interface Place {
  readonly world: FakeWorld
  readonly home: Home
  readonly sockets: Sockets
  run(args: readonly string[], options?: RunOptions): Promise<CliResult>
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Instead of the place's own. */
  readonly home?: Home
  readonly stdin?: string
  readonly kill?: Kill
  /** Gets the steps, one a line. */
  readonly log?: string
}

const jwk = await generateDpopJwk()
/** The key of every session here. */
export const KEY = { jwk, thumbprint: (await importDpopKey(jwk)).thumbprint }
export const GET_SESSION = ['call', 'com.atproto.server.getSession']

/** A new session of alice's. */
export function openSession({ world }: Place): FakeSession {
  return world.openSession({ sub: world.alice.did, clientId: CLIENT.client_id, jkt: KEY.thumbprint })
}

/** A new session of alice's, as variables. */
export function credentialsFor(place: Place): Record<string, string> {
  return {
    ATPROTO_OAUTH_REFRESH_TOKEN: openSession(place).refreshToken,
    ATPROTO_OAUTH_DPOP_PRIVATE_JWK: JSON.stringify(jwk),
    ATPROTO_OAUTH_PDS_ISSUER: place.world.pds,
    ATPROTO_OAUTH_DID: place.world.alice.did,
    ATPROTO_OAUTH_CLIENT_ID: CLIENT.client_id,
  }
}

/** A home and a world of its own for one kill and what follows it. */
export async function withPlace<T>(use: (place: Place) => Promise<T>, options: FakeWorldOptions = {}): Promise<T> {
  const world = createFakeWorld({ startAt: Date.now(), ...options })
  // Its handle would be looked up in the DNS of this machine.
  world.identity.editDidDocument(world.alice.did, (document) => ({ ...document, alsoKnownAs: [] }))
  const ownHome = await createHome()
  const sockets = await openSockets(world, certificate)
  const run = async (args: readonly string[], { home = ownHome, env = {}, stdin, kill, log }: RunOptions = {}) => {
    const logged = log ?? join(home.path, 'steps')
    const child = spawnCli(args, {
      home,
      stdin,
      env: {
        ATPROTO_OAUTH_DEV: undefined,
        ATPROTO_OAUTH_PLC_URL: undefined,
        ATPROTO_OAUTH_HANDLE_RESOLVER: undefined,
        ...sockets.env,
        ...env,
        ...((log || kill) && { NODE_OPTIONS: `--import ${PRELOAD}`, CRASH_LOG: logged }),
        ...(kill && 'at' in kill && { CRASH_AT: String(kill.at) }),
      },
      world: { plcUrl: '', handleResolverUrl: '' } as never,
    })
    if (kill && 'request' in kill) world.faults.httpFault = killer(kill, () => child.kill('SIGKILL'))
    const ended = new Promise<[number | null, NodeJS.Signals | null]>((resolve) =>
      child.on('close', (code, signal) => resolve([code, signal])),
    )
    const [stdout, stderr, [code, signal]] = await Promise.all([buffer(child.stdout), buffer(child.stderr), ended])
    if (kill) world.faults.httpFault = () => undefined
    if (kill && 'at' in kill) {
      const last = (await readFile(logged, 'utf8')).trimEnd().split('\n').at(-1)
      if (last !== kill.label.trimEnd())
        throw new Error(`meant to be killed before ${kill.label}, it was before ${last}`)
    }
    followClock(world)
    return { code, signal, stdout: stdout.toString(), stderr: stderr.toString(), stdoutBytes: stdout }
  }
  try {
    return await use({ world, home: ownHome, sockets, run })
  } finally {
    await Promise.all([sockets.close(), ownHome.remove()])
  }
}

/** The server sees to it that nothing is left to chance: it has the request, and the client is dead before it goes on. */
function killer({ request, when }: Extract<Kill, { request: number }>, kill: () => void) {
  let seen = 0
  return (incoming: FakeRequest) => {
    if (incoming.method !== 'POST') return undefined
    seen += 1
    if (seen !== request) return undefined
    if (when === 'before it is answered') {
      return (answer: Response) => {
        kill()
        return new Promise<Response>(() => answer) // there is nobody any more to be answered
      }
    }
    kill()
    return 'lostBefore' as const
  }
}

/** The locks that a command takes. */
export const LOCKS = {
  session: ['state/locks/ID', '.cache/atproto-oauth/locks/ID'],
  logins: ['state/locks/logins'],
  file: ['.session.env.lock'],
} as const

/**
 * Whether a kill says something new: what it leaves of a lock does not depend on the work that the lock is for, so one
 * test for each lock is killed at every step of taking and releasing it, and the others outside of it.
 */
export function isTried(label: string, locks: readonly string[]): boolean {
  const lock = lockIn(label)
  return lock === undefined || locks.includes(lock)
}

function lockIn(label: string): string | undefined {
  return /^(?!mkdir |utimes ).* (\S*lock\S*)\/\S+$/.exec(label)?.[1]
}

/**
 * All the kills that a run has room for, in their order.
 *
 * @param locks those of which each step is tried
 */
export async function killsOf(
  command: (place: Place, log: string) => Promise<CliResult>,
  locks: readonly string[],
  options?: FakeWorldOptions,
): Promise<Kill[]> {
  return withPlace(async (place) => {
    const log = join(place.home.path, 'steps')
    const { code, stderr } = await command(place, log)
    if (code !== 0) throw new Error(`without a kill it failed: ${stderr}`)
    const steps = (await readFile(log, 'utf8')).trimEnd().split('\n')
    let request = 0
    const kills = steps.flatMap((label, index): Kill[] => {
      const own = { at: index + 1, label }
      if (!label.startsWith('send ')) return [own]
      request += 1
      const at = (when: 'before it is handled' | 'before it is answered') => ({
        request,
        when,
        label: `${when}: ${label}`,
      })
      return [own, at('before it is handled'), at('before it is answered')]
    })
    const taken = new Set(kills.flatMap(({ label }) => lockIn(label) ?? []))
    const unknown = [...taken].filter((lock) => !Object.values<readonly string[]>(LOCKS).flat().includes(lock))
    if (unknown.length > 0) throw new Error(`no test is killed in ${unknown.join(', ')}: add it to LOCKS`)
    const untaken = locks.filter((lock) => !taken.has(lock))
    if (untaken.length > 0) throw new Error(`this run does not take ${untaken.join(', ')}`)
    return kills.filter(({ label }) => isTried(label, locks))
  }, options)
}

/** Does `work` for each kill, two at a time, and gives the results in the order of the kills. */
export async function forEachKill<T>(kills: readonly Kill[], work: (kill: Kill) => Promise<T>): Promise<T[]> {
  const results: T[] = []
  const queue = kills.entries()
  const lane = async () => {
    for (const [index, kill] of queue) results[index] = await work(kill)
  }
  await Promise.all([lane(), lane()])
  return results
}

/** Every file of a home. */
export async function filesOf(home: Home): Promise<string[]> {
  const entries = await readdir(home.path, { recursive: true, withFileTypes: true })
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
}

/** Files that others could read, by name; what the test itself writes does not count. */
export async function openToOthers(home: Home): Promise<string[]> {
  const files = (await filesOf(home)).filter((path) => path !== join(home.path, 'steps'))
  const modes = await Promise.all(files.map(async (path) => ((await stat(path)).mode & 0o077 ? [path] : [])))
  return modes.flat()
}

/** What a killed process left beside the files it was to replace, as if that had been weeks ago. */
export async function ageLeftovers(home: Home): Promise<void> {
  const long = Date.now() / 1000 - WEEKS
  for (const path of await leftoversOf(home)) await utimes(path, long, long)
}

export async function leftoversOf(home: Home): Promise<string[]> {
  return (await filesOf(home)).filter((path) => /[0-9a-f]{8}(?:-[0-9a-f]{4,12}){4}/.test(path.slice(home.path.length)))
}
