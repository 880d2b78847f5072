/**
 * What a program prints may repeat the credentials that it was given: they are removed before the text is shown.
 */
import { CLIENT_ID, DID, PDS_ISSUER } from '../../credentials/variables.ts'
import type { Entries } from '../../credentials/write.ts'
import { isObject, sanitizeLines } from '../../text.ts'

const PUBLIC: readonly string[] = [DID, PDS_ISSUER, CLIENT_ID]
/** Characters; a shorter part of a secret cannot be told from other text. */
const PART = 12
const REDACTED = '[redacted]'

/**
 * The end of `text`, safe to show: without the secret values or parts of them, also where they are base64-encoded.
 *
 * @param longest characters
 */
export function shownOutput(text: string, entries: Entries, longest: number): string {
  const clean = sanitizeLines(redacted(text, partsOf(entries))).trim()
  return clean.length > longest ? `…${clean.slice(-longest)}` : clean
}

/** Part by part: the program, or our limit, may have cut a value anywhere. */
function redacted(text: string, parts: ReadonlySet<string>): string {
  let result = ''
  let shown = 0
  let secretUntil = 0
  for (let at = 0; at + PART <= text.length; at += 1) {
    if (!parts.has(text.slice(at, at + PART))) continue
    if (at > secretUntil || secretUntil === 0) result += text.slice(shown, at) + REDACTED
    secretUntil = at + PART
    shown = secretUntil
  }
  return result + text.slice(shown)
}

function partsOf(entries: Entries): Set<string> {
  const parts = new Set<string>()
  for (const [name, value] of entries) {
    if (PUBLIC.includes(name)) continue
    for (const secret of [value, ...stringsIn(value)]) {
      for (const form of [secret, ...base64Of(secret)]) {
        for (let at = 0; at + PART <= form.length; at += 1) parts.add(form.slice(at, at + PART))
      }
    }
  }
  return parts
}

/** Of a key or a bundle, whose members a program may print one by one. */
function stringsIn(value: string): string[] {
  for (const text of [value, Buffer.from(value, 'base64url').toString()]) {
    try {
      return strings(JSON.parse(text))
    } catch {} // a token is neither
  }
  return []
}

function strings(value: unknown): string[] {
  if (typeof value === 'string') return [value]
  return isObject(value) || Array.isArray(value) ? Object.values(value).flatMap(strings) : []
}

/** As the value looks inside of a longer text that was encoded: its first byte may be any of three. */
function base64Of(secret: string): string[] {
  const bytes = Buffer.from(secret)
  return [0, 1, 2].map((offset) => bytes.subarray(offset).toString('base64').slice(0, -4))
}
