/**
 * The environment variables of a session, and related settings.
 */
export const REFRESH_TOKEN = 'ATPROTO_OAUTH_REFRESH_TOKEN'
export const DPOP_PRIVATE_JWK = 'ATPROTO_OAUTH_DPOP_PRIVATE_JWK'
export const PDS_ISSUER = 'ATPROTO_OAUTH_PDS_ISSUER'
export const DID = 'ATPROTO_OAUTH_DID'
export const CLIENT_ID = 'ATPROTO_OAUTH_CLIENT_ID'
export const SESSION = 'ATPROTO_OAUTH_SESSION'
/** How many refreshes there were before this refresh token: the order of two copies. Not secret. */
export const ROTATION = 'ATPROTO_OAUTH_ROTATION'
export const ACCESS_TOKEN = 'ATPROTO_OAUTH_ACCESS_TOKEN'

/** What to unset so that no session is left in the environment, in words. */
export function secretVariables(isBundled: boolean | undefined): string {
  return isBundled ? SESSION : `${REFRESH_TOKEN} and ${DPOP_PRIVATE_JWK}`
}

/** A setting: the program that prints the credentials. */
export const SOURCE = 'ATPROTO_OAUTH_SOURCE'

/** A setting, not part of the session: the private key of a confidential client. */
export const CLIENT_JWK = 'ATPROTO_OAUTH_CLIENT_JWK'

/** A setting: the password or token for the service of the vault, where its engine has none of its own. */
export const VAULT_TOKEN = 'ATPROTO_OAUTH_VAULT_TOKEN'
/** Settings: the address and the key of a vault. The key is a secret. */
export const VAULT = 'ATPROTO_OAUTH_VAULT'
export const VAULT_KEY = 'ATPROTO_OAUTH_VAULT_KEY'

/** A setting: the passphrase that the per-user store is encrypted with. A secret. */
export const STORE_KEY = 'ATPROTO_OAUTH_STORE_KEY'

export type Environment = Readonly<Record<string, string | undefined>>

/**
 * A value without what secret stores, editors and shells add: a byte order mark, line endings and surrounding quotes.
 */
export function cleaned(value: string): string {
  let text = value.trim() // also of a byte order mark
  for (
    let quote = text[0];
    (quote === '"' || quote === "'") && text.length > 1 && text.endsWith(quote);
    quote = text[0]
  ) {
    text = text.slice(1, -1).trim()
  }
  return text
}

/** The cleaned value, or `undefined` if it is empty: CI systems set missing secrets to an empty string. */
export function variable(environment: Environment, name: string): string | undefined {
  const value = environment[name]
  const text = value === undefined ? '' : cleaned(value)
  return text === '' ? undefined : text
}

/** A name of ours. On Windows it may be in any case. */
export const OURS = /^ATPROTO_OAUTH_/i

/** The environment for another program, without our variables. */
export function withoutOurs(environment: Environment): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !OURS.test(name)))
}
