/**
 * Formats credentials for shells, dotenv parsers, docker and CI.
 */
import { base64url } from 'jose'
import { OAuthError } from '../errors.ts'
import type { Credentials } from '../model.ts'
import { singleQuote } from '../text.ts'
import { toStored } from './stored.ts'
import * as names from './variables.ts'

export type Entries = readonly (readonly [name: string, value: string])[]

/** `github` is not among them: it writes files, see node/github-actions.ts. */
export const TEXT_FORMATS = ['dotenv', 'export', 'fish', 'powershell', 'raw', 'json', 'bundle'] as const
export type TextFormat = (typeof TEXT_FORMATS)[number]

/**
 * The five variables of a session that can be refreshed, and its number of refreshes if that is known; of one that
 * cannot, the access token that it is.
 */
export function credentialEntries(credentials: Credentials): Entries {
  const { refreshToken, accessToken, dpopPrivateJwk, server, did, clientId, rotation } = credentials
  const { kty, crv, x, y, d } = dpopPrivateJwk
  return [
    ...(refreshToken === undefined ? [] : [[names.REFRESH_TOKEN, refreshToken] as const]),
    ...(refreshToken === undefined && accessToken !== undefined ? [[names.ACCESS_TOKEN, accessToken] as const] : []),
    [names.DPOP_PRIVATE_JWK, JSON.stringify({ kty, crv, x, y, d })],
    ...(server === undefined ? [] : [[names.PDS_ISSUER, server] as const]),
    [names.DID, did],
    ...(clientId === undefined ? [] : [[names.CLIENT_ID, clientId] as const]),
    ...(refreshToken === undefined || rotation === undefined ? [] : [[names.ROTATION, String(rotation)] as const]),
  ]
}

/** What a save target keeps: as many variables as the credentials came in, so that none of them stays behind as old. */
export function savedEntries(credentials: Credentials, bundled: boolean): Entries {
  return bundled ? [[names.SESSION, bundle(credentials)]] : credentialEntries(credentials)
}

/** Everything that outlives the access token, or without a refresh token everything, in one value. */
export function bundle(credentials: Credentials): string {
  const { accessToken, accessTokenExpiresAt, bundled, ...lasting } = credentials
  const content = credentials.refreshToken === undefined ? credentials : lasting
  return base64url.encode(new TextEncoder().encode(JSON.stringify({ version: 1, ...toStored(content) })))
}

/**
 * @returns text that ends in a line feed
 * @throws {OAuthError} `USAGE` a value cannot be said in this format
 */
export function formatCredentials(credentials: Credentials, format: TextFormat): string {
  return format === 'bundle' ? `${bundle(credentials)}\n` : formatEntries(credentialEntries(credentials), format)
}

/** Any variables, as {@link formatCredentials}. */
export function formatEntries(entries: Entries, format: Exclude<TextFormat, 'bundle'>): string {
  if (format === 'json') return `${JSON.stringify(Object.fromEntries(entries), null, 2)}\n`
  return entries.map(([name, value]) => `${line(name, oneLine(name, value), format)}\n`).join('')
}

/** As the dotenv format, for any variables. */
export function dotenvLines(entries: Entries): string {
  return formatEntries(entries, 'dotenv')
}

function line(name: string, value: string, format: Exclude<TextFormat, 'json' | 'bundle'>): string {
  switch (format) {
    case 'dotenv':
      return `${name}=${dotenvValue(name, value)}`
    case 'export':
      return `export ${name}=${singleQuote(value)}`
    case 'fish':
      return `set -gx ${name} '${value.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
    case 'powershell':
      // PowerShell reads the typographic quotes as quotes too.
      return `$env:${name} = '${value.replace(/['\u2018-\u201b]/g, '$&$&')}'`
    case 'raw':
      return `${name}=${value}`
  }
}

/** The quoting that bash, `node --env-file`, dotenv and godotenv (gh) read alike. */
export function dotenvValue(name: string, value: string): string {
  // To godotenv a quote after a backslash is not the end.
  if (!value.includes("'") && !value.endsWith('\\')) return `'${value}'`
  if (!/["\\$`!]/.test(value)) return `"${value}"`
  throw new OAuthError('USAGE', `${name} contains characters that cannot be quoted for every dotenv parser`, {
    facts: { reason: 'dotenv-unfit' },
  })
}

function oneLine(name: string, value: string): string {
  if (/[\0\r\n]/.test(value))
    throw new OAuthError('USAGE', `${name} contains a line break, which this format does not support`)
  return value
}
