/**
 * Builds commands to paste, and quotes values in them, which may come from a server.
 */
import type { LoginFacts, MethodNeeds } from '../errors.ts'
import { parsePermission } from '../protocol/scope/permission.ts'
import { sanitize, singleQuote } from '../text.ts'

/** `atproto-oauth init …` for the same account, with the same scope, client and redirect URI. */
export function initCommandLine(login: LoginFacts): string {
  const { handle, did, issuer, clientId } = login
  const isHosted = clientId?.startsWith('https:') === true
  const declared = new URLSearchParams(isHosted ? '' : clientId?.split('?')[1])
  const scope = login.scope || declared.get('scope')
  const redirectUri = login.redirectUri ?? declared.get('redirect_uri')
  return [
    'atproto-oauth init',
    shellQuote(handle ?? did ?? issuer ?? 'alice.bsky.social'),
    ...(scope && scope !== 'atproto' ? ['--scope', shellQuote(scope)] : []),
    ...(isHosted ? ['--client-id', shellQuote(clientId)] : []),
    ...(redirectUri && (isHosted || !isUsualRedirect(redirectUri)) ? ['--redirect-uri', shellQuote(redirectUri)] : []),
  ].join(' ')
}

/** What `init` uses by itself, and `login` with a port that the system chose for it (above 32767). */
function isUsualRedirect(redirectUri: string): boolean {
  const [, port] = /^http:\/\/127\.0\.0\.1(?::(\d+))?\/callback$/.exec(redirectUri) ?? ['', '1']
  return port === undefined || Number(port) > 32_767
}

/** An example request of a published method, with the fields that it requires. */
export function callCommandLine({ nsid, fields, isUpload }: MethodNeeds): string {
  const words = fields.map(({ name, type, isList }) => {
    const example = EXAMPLES.get(name)
    if (example !== undefined) return `${name}${example}`
    if (type === 'json') return `${name}:='${isList ? '[]' : '{}'}'`
    return `${name}=${{ text: 'text', integer: '1', boolean: 'true' }[type]}`
  })
  return ['atproto-oauth call', nsid, ...words, ...(isUpload ? ['--upload picture.png'] : [])].join(' ')
}

/** Example values of common fields, as typed in a shell. */
const EXAMPLES: ReadonlyMap<string, string> = new Map([
  ['repo', '={did}'],
  ['did', '={did}'],
  ['actor', '={handle}'],
  ['actors', '={handle}'],
  ['handle', '={handle}'],
  ['collection', '=app.bsky.feed.post'],
  ['rkey', '=3jzfcijpj2z2a'],
  ['uri', '=at://{did}/app.bsky.feed.post/3jzfcijpj2z2a'],
  ['uris', '=at://{did}/app.bsky.feed.post/3jzfcijpj2z2a'],
  ['record', `:='{"$type":"app.bsky.feed.post","text":"Hello","createdAt":"2026-01-01T00:00:00Z"}'`],
  ['q', '=atproto'],
])

/** `atproto-oauth scope resolve …` for a valid `include:`. */
export function resolveCommandLine(include: string): string {
  const { values } = parsePermission(include)!
  const [audience] = values.get('aud') ?? []
  return [
    'atproto-oauth scope resolve',
    shellQuote(values.get('nsid')![0]!),
    ...(audience === undefined ? [] : ['--aud', shellQuote(audience)]),
  ].join(' ')
}

/** Quotes any text as one word of a POSIX shell. */
export function shellQuote(text: string): string {
  const clean = sanitize(text, 4000)
  return /^[\w@%+=:,./-]+$/.test(clean) ? clean : singleQuote(clean)
}

/** Converts a command quoted by {@link shellQuote} for cmd and PowerShell, which both support double quotes. */
export function toWindowsQuoting(command: string): string {
  return command.replace(/'(?:[^']|'\\'')*'/g, (word) => windowsWord(word.slice(1, -1).replaceAll("'\\''", "'")))
}

/**
 * PowerShell expands more than cmd in double quotes. A word that cannot be quoted for both is quoted for PowerShell.
 */
function windowsWord(text: string): string {
  return /["$`\u201c-\u201e]|\\$/.test(text) ? `'${text.replace(/['\u2018-\u201b]/g, '$&$&')}'` : `"${text}"`
}
