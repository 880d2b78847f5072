/**
 * Commands to be pasted, with the words of others quoted: a scope or a handle came from a server.
 */
import type { LoginFacts, MethodNeeds } from '../errors.ts'
import { sanitize, singleQuote } from '../text.ts'

/** `atproto-oauth init …` for the same account, with the same scope and the same hosted client. */
export function initCommandLine({ handle, did, issuer, scope, clientId, redirectUri }: LoginFacts): string {
  const hosted = clientId?.startsWith('https:')
  return [
    'atproto-oauth init',
    shellQuote(handle ?? did ?? issuer ?? '<handle>'),
    ...(scope && scope !== 'atproto' ? ['--scope', shellQuote(scope)] : []),
    ...(hosted ? ['--client-id', shellQuote(clientId!)] : []),
    ...(hosted && redirectUri ? ['--redirect-uri', shellQuote(redirectUri)] : []),
  ].join(' ')
}

/** A request of a published method, to be pasted once its values are filled in. */
export function callCommandLine({ nsid, fields, isUpload }: MethodNeeds): string {
  const words = fields.map(({ name, type, isList }) => {
    if (name === 'repo' || name === 'did') return `${name}={did}`
    if (name === 'actor') return 'actor={handle}'
    if (type === 'json') return `${name}:='${isList ? '[…]' : '{…}'}'`
    return `${name}=${{ text: '…', integer: '1', boolean: 'true' }[type]}`
  })
  return ['atproto-oauth call', nsid, ...words, ...(isUpload ? ['--upload FILE'] : [])].join(' ')
}

/** One word of a POSIX shell's, whatever is in it. */
export function shellQuote(text: string): string {
  const clean = sanitize(text, 4000)
  return /^[\w@%+=:,./-]+$/.test(clean) ? clean : singleQuote(clean)
}

/** A command that was made of {@link shellQuote}, for cmd and PowerShell: both know double quotes. */
export function toWindowsQuoting(command: string): string {
  return command.replace(/'(?:[^']|'\\'')*'/g, (word) => windowsWord(word.slice(1, -1).replaceAll("'\\''", "'")))
}

/** In double quotes PowerShell reads more than cmd does; what is not for cmd then is at least right for the former. */
function windowsWord(text: string): string {
  return /["$`\u201c-\u201e]|\\$/.test(text) ? `'${text.replace(/['\u2018-\u201b]/g, '$&$&')}'` : `"${text}"`
}
