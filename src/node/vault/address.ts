/**
 * Addresses of vaults. They are stored, compared and printed, so they contain no secret.
 */
import path from 'node:path'
import { OAuthError } from '../../errors.ts'
import { expandTilde } from '../home.ts'
import { isRedisAddress, parseRedisAddress, type RedisAddress } from './redis-address.ts'

/** By kind, so that another engine adds another member. */
export type VaultAddress = GitAddress | RedisAddress

export interface GitAddress {
  readonly kind: 'git'
  /** The address as it was meant, normalized: to store, print and connect with. */
  readonly text: string
  /**
   * Names the vault, however it is reached: that of `git@HOST:PATH` is that of `https://HOST/PATH`. To compare; it can
   * be used as an address too.
   */
  readonly identity: string
  /** For git: a URL, `user@host:path` or an absolute path. */
  readonly url: string
  readonly branch: string
  /** For `https:` and `http:`. */
  readonly origin: string | undefined
}

export interface AddressOptions {
  readonly environment?: NodeJS.ProcessEnv
  /** What relative paths and `git:.` refer to. */
  readonly folder?: string
}

const DEFAULT_BRANCH = 'atproto-oauth'

/**
 * `git:URL`, `git:URL#BRANCH`, `git:PATH`, and `git:.` for the remote of the checkout; `redis://HOST` and `rediss://HOST`.
 *
 * @throws {OAuthError} `USAGE`; `VAULT_INVALID` for `git:.` without git or a remote
 */
export async function parseVaultAddress(text: `git:${string}`, options?: AddressOptions): Promise<GitAddress>
export async function parseVaultAddress(text: string, options?: AddressOptions): Promise<VaultAddress>
export async function parseVaultAddress(text: string, options: AddressOptions = {}): Promise<VaultAddress> {
  if (isRedisAddress(text)) return parseRedisAddress(text)
  const [, kind, rest] = /^([a-z][a-z0-9+.-]*):(.+)$/s.exec(text) ?? []
  if (kind !== 'git' || rest === undefined) {
    if (text === 'git:') throw malformed(text, 'it names no repository')
    throw malformed(text, 'it does not begin with "git:", "redis://" or "rediss://"', meantBy(text))
  }
  return parseGit(text, rest, options)
}

async function parseGit(text: string, rest: string, options: AddressOptions): Promise<GitAddress> {
  const { environment = process.env, folder = process.cwd() } = options
  if (/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/.test(rest)) throw malformed(text, 'it contains a control character')
  const hash = rest.indexOf('#')
  const [place, branch] = hash < 0 ? [rest, DEFAULT_BRANCH] : [rest.slice(0, hash), rest.slice(hash + 1)]
  // A password may contain a "#" too.
  if (/^[a-z]+:\/\/[^/#]*#.*@/i.test(rest)) throw secret()
  if (!isBranch(branch)) throw malformed(text, `${JSON.stringify(branch)} is not a name of a branch`)
  const isHere = place === '.'
  const location = isHere ? withoutUser(await remoteOf(folder, environment)) : place
  const { url, identity, origin } = locate(text, location, folder)
  const suffix = branch === DEFAULT_BRANCH ? '' : `#${branch}`
  return { kind: 'git', text: `git:${url}${suffix}`, identity: `git:${identity}${suffix}`, url, branch, origin }
}

async function remoteOf(folder: string, environment: NodeJS.ProcessEnv): Promise<string> {
  const { remoteOfCheckout } = await import('./git-remote.ts')
  return remoteOfCheckout(folder, environment)
}

interface Location {
  readonly url: string
  readonly identity: string
  readonly origin?: string | undefined
}

const SCP = /^(?:([^@/:\s]+)@)?(\[[0-9A-Fa-f:.]+\]|[^@/:\s[\]]+):(?!:|\/\/)(.+)$/
const WINDOWS_PATH = /^[A-Za-z]:[\\/]/

/** In the way in which git tells URLs, `host:path` and paths apart. */
function locate(text: string, given: string, folder: string): Location {
  if (given.startsWith('-')) throw malformed(text, 'git would read it as an option')
  if (/^[A-Za-z0-9+.-]+::/.test(given)) throw malformed(text, 'remote helpers are not supported')
  if (/^[A-Za-z][A-Za-z0-9+.-]*:\/\//.test(given)) return locateUrl(text, given)
  const scp = process.platform === 'win32' && WINDOWS_PATH.test(given) ? null : SCP.exec(given)
  if (scp && !/^[./~]/.test(given)) return locateScp(text, scp)
  const expanded = path.resolve(folder, expandTilde(given))
  if (expanded.includes('#')) throw malformed(text, 'a path with "#" is not supported')
  return { url: expanded, identity: expanded }
}

function locateUrl(text: string, given: string): Location {
  let url: URL
  try {
    url = new URL(given)
  } catch {
    throw malformed(text, 'its URL is not valid')
  }
  if (url.search !== '') throw malformed(text, 'its URL has a query', meantBy(given))
  const pathname = url.pathname.replace(/\/+$/, '')
  switch (url.protocol) {
    case 'file:': {
      if (url.host !== '') throw malformed(text, 'a file URL has no host')
      const file = path.resolve(decodePath(text, url.pathname))
      return { url: file, identity: file }
    }
    case 'https:':
    case 'http:': {
      if (url.username !== '' || url.password !== '') throw secret()
      if (pathname === '') throw malformed(text, 'its URL names no repository')
      const web = webUrl(url.origin, pathname)
      return { url: web, identity: web, origin: url.origin }
    }
    case 'ssh:': {
      if (url.password !== '') throw secret()
      if (url.hostname === '' || pathname === '') throw malformed(text, 'its URL names no repository')
      refuseOption(text, url.hostname, url.username)
      const user = url.username === '' ? '' : `${url.username}@`
      // The URL parser knows no default port of ssh, and keeps the host's case.
      const port = url.port === '' || url.port === '22' ? '' : `:${url.port}`
      const spelling = `ssh://${user}${url.hostname.toLowerCase()}${port}${withoutGit(pathname)}`
      const isForge = url.username === 'git' && (port === '' || /^ssh\.github\.com:443$/i.test(url.host))
      return { url: spelling, identity: isForge ? forge(url.hostname, pathname) : spelling }
    }
    default:
      throw malformed(text, `${url.protocol.slice(0, -1)} is not supported: use https, ssh or a path`)
  }
}

function locateScp(text: string, [, user, host, place]: RegExpExecArray): Location {
  refuseOption(text, host!, user)
  if (place!.startsWith('-')) throw malformed(text, 'ssh would read it as an option')
  const trimmed = withoutGit(place!.replace(/\/+$/, ''))
  if (trimmed === '') throw malformed(text, 'it names no repository')
  const spelling = `${user === undefined ? '' : `${user}@`}${host!.toLowerCase()}:${trimmed}`
  const isForge = user === 'git' && !/^[/~]/.test(trimmed) && !host!.startsWith('[')
  return { url: spelling, identity: isForge ? forge(host!, `/${trimmed}`) : spelling }
}

/** The same repository by https. */
function forge(host: string, pathname: string): string {
  const name = host.toLowerCase()
  return webUrl(`https://${name === 'ssh.github.com' ? 'github.com' : name}`, pathname)
}

function webUrl(origin: string, pathname: string): string {
  const trimmed = withoutGit(pathname)
  // Its names are one in every case, and a runner has that of the owner.
  return origin + (origin === 'https://github.com' ? trimmed.toLowerCase() : trimmed)
}

function withoutGit(pathname: string): string {
  return pathname.replace(/(?<=[^/])\.git$/, '')
}

/** A clone in a CI job has a token in the URL of its remote. */
function withoutUser(remote: string): string {
  return remote.replace(/^(https?:\/\/)[^/]*@/i, '$1')
}

function decodePath(text: string, pathname: string): string {
  try {
    return decodeURIComponent(pathname)
  } catch {
    throw malformed(text, 'its URL is not encoded correctly')
  }
}

function refuseOption(text: string, host: string, user = ''): void {
  if (host.startsWith('-') || user.startsWith('-')) throw malformed(text, 'ssh would read it as an option')
}

/** @see https://git-scm.com/docs/git-check-ref-format */
function isBranch(name: string): boolean {
  return (
    name !== '' &&
    name.length <= 200 &&
    !/[\s~^:?*[\\]|\.\.|@\{|\/\/|^[-/]|[/.]$/.test(name) &&
    name !== '@' &&
    name !== 'HEAD' &&
    name.split('/').every((part) => !part.startsWith('.') && !part.endsWith('.lock'))
  )
}

/** A repository without `git:`, as it is given to git itself or copied from a browser, or a server of Redis. */
function meantBy(text: string): string | undefined {
  // A password may contain anything, and `@` comes after it.
  if (/\/\/.*@/s.test(text) && !/^(?:git clone\s+)?ssh:\/\/[\w-]+@[^@]*$/.test(text)) return undefined
  if (/^(?:localhost|[\w-]+(?:\.[\w-]+)+):6379$/.test(text)) return `redis://${text}`
  const place = text
    .replace(/^git clone\s+/, '')
    .replace(/^(?=(?:[\w-]+\.)+[a-z]{2,}\/[\w.-]+\/[\w.-])/i, 'https://')
    // A page of the repository.
    .replace(/^(https:\/\/github\.com\/[^/\s]+\/[^/\s]+)\/.*$/i, '$1')
    .replace(/^((?:https|ssh):\/\/\S+?)(?:\/-\/|[?#]).*$/, '$1')
  return /^(?:https:\/\/[^\s@]+\/[^\s@]+|ssh:\/\/\S+|[\w-]+@[\w.-]+:\S+|[~.]?\.?\/\S+)$/.test(place)
    ? `git:${place}`
    : undefined
}

/** @param meant the address that was probably meant */
function malformed(text: string, why: string, meant?: string): OAuthError {
  // A password may contain anything, and `@` comes after it.
  const shown = JSON.stringify(text.startsWith('git:') ? text.replace(/\/\/.*@/s, '//') : text.replace(/^.*@/s, ''))
  return new OAuthError('USAGE', `invalid address of a vault ${shown}: ${why}`, {
    session: 'none',
    facts: { reason: 'vault-address-malformed', meant },
  })
}

/** Not quoted: the message would show what it is about. */
function secret(): OAuthError {
  return new OAuthError('USAGE', 'the address of a vault must not contain a user name, password or token', {
    session: 'none',
    facts: { reason: 'vault-address-secret' },
  })
}
