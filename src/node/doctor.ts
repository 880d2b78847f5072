/**
 * The local checks of `doctor`: Node, proxy, CAs and the files of the store. Sends and changes nothing.
 */
import { X509Certificate } from 'node:crypto'
import { constants } from 'node:fs'
import { access, lstat, readdir, readFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { Fix } from '../errors.ts'
import { isOAuthError, type OAuthError, type ReasonFacts } from '../errors.ts'
import type { Finding } from '../ports.ts'
import { unusableExceptions } from './http/proxies.ts'
import { loginName, sessionName, storeCipher } from './store/cipher.ts'
import { isCode, isTemporary, listFolder, reasonOf } from './store/files.ts'
import { unavailable } from './store/obstacles.ts'
import { ownerName, ownUid } from './store/owners.ts'
import { parsePending, parseSession } from './store/records.ts'

type Environment = Readonly<Record<string, string | undefined>>
type Kind = 'sessions' | 'pending'

export interface InspectedMachine {
  /** `undefined` for a user who has no home. */
  readonly home: string | undefined
  readonly environment: Environment
  readonly platform: NodeJS.Platform
}

export async function* inspectMachine({ home, environment, platform }: InspectedMachine): AsyncGenerator<Finding> {
  yield finding('Node', 'ok', `${process.version} on ${platform}`)
  yield proxyFinding(environment)
  yield* exceptionFindings(environment)
  yield* checkCa(environment)
  if (home === undefined) {
    yield finding(
      'store',
      'broken',
      'this user has no home directory to store sessions in',
      advise({ reason: 'home-needed' }),
    )
    return
  }
  yield await timed(() => homeFinding(home))
  for (const folder of ['sessions', 'pending'] as const) yield* checkFolder(join(home, folder), folder, platform)
  yield* checkEncryption(home)
  yield* checkOwners(home)
}

/** Needs no key. That the settings cannot be read is reported with them. */
async function* checkEncryption(home: string): AsyncGenerator<Finding> {
  try {
    await storeCipher(home).assertAsSet()
  } catch (error) {
    if (!isOAuthError(error)) throw error
    if (error.facts.reason === 'store-encryption-differs') yield fileFinding('files', 'broken', error)
  }
}

function finding(topic: string, verdict: Finding['verdict'], detail: string, fix?: Fix): Finding {
  return { topic, verdict, detail, ...(fix !== undefined && { fix }), milliseconds: 0 }
}

function advise(facts: ReasonFacts): Fix {
  return { code: 'STORE_INVALID', facts }
}

async function timed(work: () => Promise<Finding>): Promise<Finding> {
  const started = performance.now()
  return { ...(await work()), milliseconds: Math.round(performance.now() - started) }
}

/** The proxy variables in the order of the HTTP client: lower case first. */
function proxyFinding(environment: Environment): Finding {
  const of = (name: string) => environment[name.toLowerCase()] || environment[name]
  const proxies = ['HTTPS_PROXY', 'HTTP_PROXY'].flatMap((name) => {
    const value = of(name)
    return value ? [`${name} is ${withoutPassword(value)}`] : []
  })
  const except = of('NO_PROXY')
  if (proxies.length === 0) return finding('proxy', 'ok', 'none: HTTPS_PROXY and HTTP_PROXY are not set')
  return finding(
    'proxy',
    'ok',
    [...proxies, ...(except ? [`not used for ${except.replace(/[^\s,]*@/g, '')}`] : [])].join('; '),
  )
}

/** Entries of another syntax look as if they were in effect, and what they name goes through the proxy. */
function* exceptionFindings(environment: Environment): Generator<Finding> {
  if (!['HTTPS_PROXY', 'HTTP_PROXY'].some((name) => environment[name.toLowerCase()] || environment[name])) return
  // A URL may have a password in it.
  const unusable = unusableExceptions(environment).map((entry) => `"${entry.replace(/^.*@/, '')}"`)
  if (unusable.length === 0) return
  const detail = `NO_PROXY has ${unusable.length === 1 ? 'an entry' : 'entries'} that cannot be used: ${unusable.join(', ')}`
  yield finding(
    'proxy',
    'warning',
    detail,
    'write each entry as a host name (pds.example.com), a domain (.example.com), an IP address or a CIDR block (10.0.0.0/8)',
  )
}

function withoutPassword(value: string): string {
  const text = value.includes('://') ? value : `http://${value}`
  if (!URL.canParse(text)) return 'not an address'
  const { protocol, host, username, password } = new URL(text)
  return `${protocol}//${host}${username || password ? ' with a password' : ''}`
}

async function* checkCa(environment: Environment): AsyncGenerator<Finding> {
  if (environment['NODE_TLS_REJECT_UNAUTHORIZED'] === '0') {
    const detail = 'NODE_TLS_REJECT_UNAUTHORIZED is 0; this program checks certificates anyway'
    yield finding('CA', 'warning', detail, 'unset NODE_TLS_REJECT_UNAUTHORIZED, and set NODE_EXTRA_CA_CERTS to your CA')
  }
  const path = environment['NODE_EXTRA_CA_CERTS']
  if (!path) {
    yield finding('CA', 'ok', 'the CAs of Node; NODE_EXTRA_CA_CERTS is not set')
    return
  }
  const name = `NODE_EXTRA_CA_CERTS (${path})`
  const fix = 'point NODE_EXTRA_CA_CERTS at a readable PEM file of certificates'
  try {
    const certificates = (await readFile(path, 'utf8')).match(
      /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g,
    )
    if (!certificates) yield finding('CA', 'broken', `${name} contains no PEM certificate: Node ignores it`, fix)
    else {
      const ended = certificates.filter((pem) => Date.parse(new X509Certificate(pem).validTo) < Date.now()).length
      const count = `${name} adds ${certificates.length} ${certificates.length === 1 ? 'certificate' : 'certificates'}`
      if (ended === 0) yield finding('CA', 'ok', count)
      else yield finding('CA', 'warning', `${count}, ${ended} of them expired`, 'replace the expired certificates')
    }
  } catch (error) {
    const why = isCode(error, 'ENOENT', 'EACCES', 'EISDIR', 'EPERM', 'ENOTDIR')
      ? reasonOf(error)
      : 'a certificate is invalid'
    yield finding('CA', 'broken', `Node ignores ${name}: ${why}`, fix)
  }
}

/** Checks the home, or the nearest existing parent folder if it does not exist yet. */
async function homeFinding(home: string): Promise<Finding> {
  const broken = (error: unknown) => fileFinding('store', 'broken', unavailable(error, 'use', join(home, 'sessions')))
  for (let folder = home; ; folder = dirname(folder)) {
    try {
      if (!(await lstat(folder).then((stats) => stats.isDirectory() || stats.isSymbolicLink()))) {
        return broken(Object.assign(new Error(), { code: 'ENOTDIR' }))
      }
      await access(folder, constants.W_OK | constants.X_OK)
      return finding('store', 'ok', folder === home ? home : `${home} (not created yet)`)
    } catch (error) {
      if (isCode(error, 'ENOENT') && dirname(folder) !== folder) continue
      return broken(error)
    }
  }
}

/** Checks the file modes, and whether each record can be read. A file that other users can read is no longer secret. */
async function* checkFolder(folder: string, kind: Kind, platform: NodeJS.Platform): AsyncGenerator<Finding> {
  const stats = await lstat(folder).catch(() => undefined)
  if (!stats) return
  const modes = platform !== 'win32'
  if (modes && isOpen(stats.mode)) {
    yield finding('files', 'warning', `other users can list ${folder}`, advise({ reason: 'folder-mode', path: folder }))
  }
  let names: string[]
  try {
    names = await listFolder(folder)
  } catch (error) {
    if (!isOAuthError(error)) throw error
    yield fileFinding('files', 'broken', error)
    return
  }
  const records = names.filter((name) => name.endsWith('.json') && !isTemporary(name))
  const faults: Finding[] = []
  for (const name of records) faults.push(...(await fileFaults(join(folder, name), kind, modes)))
  // One key opens all.
  const isLocked = ({ fix }: Finding) => typeof fix === 'object' && fix.code === 'STORE_LOCKED'
  yield* faults.filter((fault) => !isLocked(fault))
  yield* faults.filter(isLocked).slice(0, 1)
  const what = kind === 'sessions' ? 'session' : 'login'
  const count = `${records.length} ${what}${records.length === 1 ? '' : 's'}`
  // On Windows, file modes do not tell who can read a file.
  const eyes = modes ? ', private to you' : ''
  if (faults.length === 0) yield finding('files', 'ok', `${count} in ${folder}${eyes}`)
}

async function fileFaults(path: string, kind: Kind, modes: boolean): Promise<Finding[]> {
  const stats = await lstat(path).catch(() => undefined)
  if (!stats) return [] // deleted meanwhile by a completed login
  const open = modes && stats.isFile() && isOpen(stats.mode)
  const fix = advise({ reason: 'file-mode', path })
  const faults = open ? [finding('files', 'broken', `other users can read ${path}`, fix)] : []
  try {
    const id = basename(path, '.json')
    const name = kind === 'pending' ? loginName(id) : sessionName(id)
    const text = await storeCipher(dirname(dirname(path))).read(path, name)
    if (text === undefined) return faults
    if (kind === 'pending') parsePending(text, path)
    else parseSession(text, path, id)
  } catch (error) {
    if (!isOAuthError(error)) throw error
    const verdict = kind === 'sessions' ? 'broken' : 'warning'
    faults.push(fileFinding('files', verdict, error))
  }
  return faults
}

/** With the repair that the error has. */
function fileFinding(topic: string, verdict: Finding['verdict'], { message, code, facts }: OAuthError): Finding {
  return finding(topic, verdict, message, { code, facts })
}

/** What another user, such as root, has left in the store: this one could not replace or lock it. */
async function* checkOwners(home: string): AsyncGenerator<Finding> {
  const uid = ownUid()
  if (uid === undefined || uid === 0) return
  const foreign = new Map<string, number>()
  for (const name of await readdir(home, { recursive: true }).catch(() => [])) {
    const stats = await lstat(join(home, name)).catch(() => undefined)
    if (!stats || stats.uid === uid) continue
    const owner = ownerName(stats.uid)
    foreign.set(owner, (foreign.get(owner) ?? 0) + 1)
  }
  for (const [owner, count] of foreign) {
    const facts = { reason: 'owner-foreign', path: home, owner, isEmpty: false } as const
    yield finding(
      'files',
      'broken',
      `in ${home}, ${count === 1 ? '1 file or directory belongs' : `${count} files or directories belong`} to ${owner}`,
      advise(facts),
    )
  }
}

function isOpen(mode: number): boolean {
  return (mode & 0o077) !== 0
}
