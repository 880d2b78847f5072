/**
 * Credentials to write and read, none of whose secrets may turn up in a message.
 */
import type { Credentials, Did, Origin, PrivateJwk } from '../../src/model.ts'

export const JWK: PrivateJwk = {
  kty: 'EC',
  crv: 'P-256',
  x: 'rPQUCtOMZ4GhMTp9oUhcEBUXZGxcmQWcCJPBkkGBbZM',
  y: 'Dcz3KfkL6YIpXnCOmh2LyFDxoyvXcPgwDlF_fBcpFN0',
  d: 'canary-d-'.padEnd(43, '5'),
}

export const CREDENTIALS: Credentials = {
  did: 'did:plc:ewvi7nxzyoun6zhxrhs64oiz' as Did,
  clientId: 'http://localhost?redirect_uri=http%3A%2F%2F127.0.0.1%2Fcallback&scope=atproto%20transition%3Ageneric',
  dpopPrivateJwk: JWK,
  server: 'https://pds.example.com' as Origin,
  refreshToken: 'ref-canary0123456789abcdef',
}

/** Every character that RFC 6749 allows in a token (VSCHAR), the space in the middle: at the ends it is not kept. */
export const VSCHARS = String.fromCharCode(
  ...Array.from({ length: 0x7d - 0x21 + 1 }, (_, index) => 0x21 + index),
  0x20,
  0x7e,
)

/** The five separate variables of {@link CREDENTIALS}. */
export const ENVIRONMENT = {
  ATPROTO_OAUTH_REFRESH_TOKEN: CREDENTIALS.refreshToken!,
  ATPROTO_OAUTH_DPOP_PRIVATE_JWK: JSON.stringify(JWK),
  ATPROTO_OAUTH_PDS_ISSUER: CREDENTIALS.server!,
  ATPROTO_OAUTH_DID: CREDENTIALS.did,
  ATPROTO_OAUTH_CLIENT_ID: CREDENTIALS.clientId!,
} satisfies Record<string, string>

/** Without the members that are not set. */
export function set<T extends object>(value: T): Partial<T> {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as Partial<T>
}
