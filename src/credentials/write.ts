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

/** Not `github`, which writes to files (node/github-actions.ts). */
export const TEXT_FORMATS = ['dotenv', 'export', 'fish', 'powershell', 'raw', 'json', 'bundle'] as const
export type TextFormat = (typeof TEXT_FORMATS)[number]

/** The variables of a session, or of a lease, which has only an access token. */
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

/**
 * The variables for a save target: the same ones that the credentials came in, so that no outdated variable remains.
 */
export function savedEntries(credentials: Credentials, bundled: boolean): Entries {
  return bundled ? [[names.SESSION, bundle(credentials)]] : credentialEntries(credentials)
}

/** One value with everything that outlives the access token, or for a lease with everything. */
export function bundle(credentials: Credentials): string {
  // The clock of another machine is off by another difference.
  const { clockOffset, ...portable } = credentials
  const { accessToken, accessTokenExpiresAt, bundled, ...lasting } = portable
  const content = credentials.refreshToken === undefined ? portable : lasting
  return base64url.encode(new TextEncoder().encode(JSON.stringify({ version: 1, ...toStored(content) })))
}

/**
 * @returns text that ends in a line feed
 * @throws {OAuthError} `USAGE` a value cannot be represented in this format
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
      // PowerShell treats typographic quotes as quotes too.
      return `$env:${name} = '${value.replace(/['\u2018-\u201b]/g, '$&$&')}'`
    case 'raw':
      return `${name}=${value}`
  }
}

/** Quotes a value so that bash, `node --env-file`, dotenv and godotenv (gh) read it alike. */
export function dotenvValue(name: string, value: string): string {
  // For godotenv, a quote after a backslash does not end the value.
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
