/**
 * Parses `WWW-Authenticate` challenges and their parameters (RFC 9110 §11.6.1) by grammar, not by pattern: a quoted
 * description may contain anything.
 */
import type { HttpHeaders } from '../../ports.ts'
export interface Challenge {
  /** In lower case. */
  readonly scheme: string
  /** Names in lower case; of a repeated name the first counts. */
  readonly parameters: ReadonlyMap<string, string>
}

const TOKEN = /[!#$%&'*+.^_`|~0-9A-Za-z-]+/y
const TOKEN68 = /[A-Za-z0-9._~+/-]+=*(?=[ \t]*(?:,|$))/y
const QUOTED = /"((?:[^"\\]|\\[\s\S])*)"/y
const SPACE = /[ \t]*/y
const LIST_GAP = /[ \t,]*/y

/** All challenges before the first syntax error; never throws. */
export function parseChallenges(header: string | null): Challenge[] {
  const challenges: Challenge[] = []
  if (header === null) return challenges
  let position = 0
  const take = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = position
    const match = pattern.exec(header)
    if (!match) return undefined
    position = pattern.lastIndex
    return match[1] ?? match[0]
  }
  /** Parses `name = value`; otherwise the position stays unchanged. */
  const takeParameter = (): [string, string] | undefined => {
    const start = position
    const name = take(TOKEN)
    take(SPACE)
    if (name !== undefined && header[position] === '=') {
      position += 1
      take(SPACE)
      const value = header[position] === '"' ? take(QUOTED)?.replace(/\\([\s\S])/g, '$1') : take(TOKEN)
      if (value !== undefined) return [name.toLowerCase(), value]
    }
    position = start
    return undefined
  }

  take(LIST_GAP)
  for (let scheme = take(TOKEN); scheme !== undefined; scheme = take(TOKEN)) {
    const parameters = new Map<string, string>()
    challenges.push({ scheme: scheme.toLowerCase(), parameters })
    take(SPACE)
    const first = takeParameter()
    if (first) parameters.set(...first)
    else take(TOKEN68)
    for (;;) {
      take(LIST_GAP)
      const next = takeParameter()
      if (!next) break
      if (!parameters.has(next[0])) parameters.set(...next)
    }
  }
  return challenges
}

/** The `error` of the `DPoP` challenge (RFC 9449 §7.1), or of a `Bearer` one if `scheme` asks for it. */
export function challengeError(headers: HttpHeaders, scheme: 'dpop' | 'bearer' = 'dpop'): string | undefined {
  return parseChallenges(headers.get('www-authenticate'))
    .find((challenge) => challenge.scheme === scheme && challenge.parameters.has('error'))
    ?.parameters.get('error')
}
