/**
 * What a setting may be: the same for a flag, a variable and the user's settings.
 */

import { isAbsolute } from 'node:path'
import { callbackParameter, checkClientId, chooseClient } from '../../client/client-id.ts'
import { isOAuthError, OAuthError } from '../../errors.ts'
import type { Origin } from '../../model.ts'
import type { ConfigKey } from '../../node/config/read.ts'
import { normalizeTarget } from '../../node/save/targets.ts'
import { asServer, asUrl, parseIdentifier } from '../../protocol/identity/syntax.ts'
import { isSessionName } from '../../session/choice.ts'
import { CliError, hintOf } from '../errors.ts'
import type { Found } from '../options.ts'

type Written = { readonly flag: string }

/** @throws {OAuthError} `USAGE` not an origin */
export function parseServer({ value, name, source }: Found<string>, { flag }: Written, dev: boolean): Origin {
  const server = asServer(value, dev)
  if (server !== undefined) return server
  const isHttp = asUrl(value)?.protocol === 'http:'
  const meant = asServer(`https://${value.replace(/^https:\/\//, '').replace(/\/.*$/s, '')}`, false)
  const example = meant?.includes('.') ? meant : 'https://host.example.com'
  const hint = isHttp
    ? 'for a server with http:, add --dev or set ATPROTO_OAUTH_DEV=1'
    : source === 'config' || name === flag.slice(2)
      ? `atproto-oauth config set ${flag.slice(2)} ${example}`
      : `write it as ${flag} ${example}`
  throw new CliError('USAGE', `${name} must be an https origin: https:// and a host`, { hint })
}

/** @throws {OAuthError} `USAGE` a vault beside other targets */
export function checkTargets(found: Pick<Found<readonly string[]>, 'value' | 'source' | 'name'> | undefined): void {
  if (!found?.value.includes('vault') || found.value.every((target) => target === 'vault')) return
  const what = found.source === 'config' ? `the target vault (${found.name})` : '--save vault'
  throw new CliError('USAGE', `${what} cannot be used with other targets: the vault has the only copy`, {
    hint: 'omit the other targets; other machines need the address and the key of the vault only',
  })
}

/**
 * @param hasVault whether a vault may have the session, which keeps no copy in the store
 * @throws {OAuthError} `USAGE` the store is named as a save target too, or no other target is
 */
export function checkNoStore(
  noStore: Pick<Found<boolean>, 'source' | 'name'>,
  save: Pick<Found<readonly string[]>, 'value' | 'name'> | undefined,
  hasVault: boolean,
): void {
  if (save?.value.includes('store')) {
    const message = `${noStore.name} contradicts the target store of ${save.name}`
    throw new CliError('USAGE', message, { hint: 'omit one of them' })
  }
  // The variable is set for commands that save nothing, too; others say it before they send a token.
  if (noStore.source !== 'flag' || hasVault || save !== undefined) return
  throw new OAuthError('USAGE', `${noStore.name} needs a save target: the new refresh token has to be kept somewhere`, {
    facts: { reason: 'store-excluded' },
  })
}

/**
 * Checks a value of the user's settings.
 *
 * @throws {OAuthError} `USAGE`, with the name of the setting
 */
export function checkSetting(key: ConfigKey, found: Found<string | readonly string[]>, dev: boolean): void {
  const values = typeof found.value === 'string' ? [found.value] : found.value
  const [text = ''] = values
  switch (key) {
    case 'plc-url':
    case 'handle-resolver':
      parseServer({ ...found, value: text }, { flag: `--${key}` }, dev)
      return
    case 'client-id':
      named(found.name, () => checkClientId(text))
      return
    case 'redirect-uri':
      checkRedirectUri(text, found.name)
      return
    case 'account':
      // A name that was set by another command, for a session that has it.
      if (found.source === 'config' && isSessionName(text)) return
      named(found.name, () => {
        if (parseIdentifier(text, dev).kind !== 'server') return
        throw new OAuthError('IDENTIFIER_INVALID', `"${text}" is a server, not an account`)
      })
      return
    case 'save':
      checkTargets({ ...found, value: values })
      named(found.name, () => {
        for (const target of values) checkTarget(target, found.source)
      })
      return
    case 'encrypt-store':
      if (['off', 'keychain', 'passphrase'].includes(text)) return
      throw new CliError('USAGE', `${found.name} must be off, keychain or passphrase`, {
        hint: `atproto-oauth config set encrypt-store ${text === 'keyring' ? 'keychain' : 'passphrase'}`,
      })
  }
}

/** What no client can have as a redirect URI. */
function checkRedirectUri(text: string, name: string): void {
  const url = asUrl(text)
  const parameter = callbackParameter(text)
  const why =
    url === undefined
      ? 'must be a URI, as in https://app.example.com/callback'
      : parameter !== undefined
        ? `cannot have the parameter "${parameter}", which the server adds for the callback`
        : text.includes('#')
          ? 'cannot have a fragment'
          : url.username !== '' || url.password !== ''
            ? 'cannot have a user name or a password'
            : undefined
  if (why === undefined) return
  throw new CliError('USAGE', `${name} ${why}`, { hint: 'use a redirect URI that the client metadata document lists' })
}

/** @returns why a client cannot have this redirect URI, as far as that is known without its document */
export function checkPair(clientId: string, redirectUri: string): string | undefined {
  try {
    chooseClient({ clientId, redirectUri })
    return undefined
  } catch (error) {
    if (!isOAuthError(error)) throw error
    return error.message
  }
}

/** Commands run in any directory: a relative path would mean another file in each. */
function checkTarget(target: string, source: Found<string>['source']): void {
  const normal = normalizeTarget(target)
  if (source === 'variable') return
  if (/^gh:(?:@|$)/.test(target)) {
    throw new CliError('USAGE', `${JSON.stringify(target)} depends on the current directory`, {
      hint: 'write it with the repository, as in gh:alice/bot',
    })
  }
  const path = target.replace(/^file:/, '')
  if (path === target || /^~[\\/]/.test(path) || isAbsolute(path)) return
  throw new CliError('USAGE', `the path in ${JSON.stringify(target)} is relative`, { hint: `write it as ${normal}` })
}

/** Says where the value is from; the hint of a flag would not correct it. */
function named(name: string, check: () => void): void {
  try {
    check()
  } catch (error) {
    if (!isOAuthError(error)) throw error
    throw new CliError('USAGE', `${name}: ${error.message}`, { cause: error, hint: hintFor(error) })
  }
}

function hintFor(error: OAuthError): string {
  if (error.code === 'CLIENT_INVALID') return 'use the URL of a hosted client metadata document'
  if (error.code === 'USAGE') return hintOf(error)
  return 'write a handle, as in alice.bsky.social, or a DID'
}
