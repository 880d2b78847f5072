/**
 * Parses credentials as text in any format of {@link formatCredentials}: the counterpart of write.ts.
 */
import { isObject, parseJson } from '../text.ts'
import { parseDotenv } from './dotenv.ts'
import { cleaned, OURS, SESSION } from './variables.ts'

/** @returns the variables, or `undefined` if none of ours is in the text */
export function parseVariables(text: string): Record<string, string> | undefined {
  const clean = text.replace(/^\ufeff/, '')
  const found = [fromJson, fromBundle, fromShell].map((parse) => parse(clean)).find((each) => each !== undefined)
  return found && Object.keys(found).some((name) => OURS.test(name)) ? found : undefined
}

function fromJson(text: string): Record<string, string> | undefined {
  if (!text.trimStart().startsWith('{')) return undefined
  try {
    const content = parseJson(text)
    if (!isObject(content)) return undefined
    const members = Object.entries(content).filter(([, value]) => value !== null && value !== undefined)
    // A key that a tool has parsed on the way is an object.
    return Object.fromEntries(
      members.map(([name, value]) => [name, typeof value === 'string' ? value : JSON.stringify(value)]),
    )
  } catch {
    return undefined // the message of the parser could quote a secret
  }
}

/** Whether the text is one value without a name, which some tools break into lines. */
export function isBundleAlone(text: string): boolean {
  const value = cleaned(text)
  return /^[\w+/-]+(?:\s+[\w+/-]+)*=*$/.test(value) && !OURS.test(value)
}

function fromBundle(text: string): Record<string, string> | undefined {
  return isBundleAlone(text) ? { [SESSION]: cleaned(text) } : undefined
}

const WRITTEN = [
  // POSIX shells
  {
    line: /^\s*export\s+(\w+)=((?:'[^']*'|\\')+)\s*;?\s*$/,
    value: (text: string) => text.replace(/'([^']*)'|\\(')/g, '$1$2'),
  },
  // fish
  {
    line: /^\s*set\s+-\w+\s+(\w+)\s+'((?:[^'\\]|\\.)*)'\s*;?\s*$/,
    value: (text: string) => text.replace(/\\([\\'])/g, '$1'),
  },
  // PowerShell
  {
    line: /^\s*\$env:(\w+)\s*=\s*'(.*)'\s*;?\s*$/i,
    value: (text: string) => text.replace(/(['\u2018-\u201b])\1/g, '$1'),
  },
] as const

/** Lines of a shell; all others are dotenv. */
function fromShell(text: string): Record<string, string> {
  const found: Record<string, string> = {}
  const others: string[] = []
  for (const line of text.split(/\r?\n/)) {
    const syntax = WRITTEN.find((each) => each.line.test(line))
    const [, name, value] = syntax?.line.exec(line) ?? []
    if (syntax === undefined || name === undefined || value === undefined) others.push(line)
    else found[name] = syntax.value(value)
  }
  return { ...parseDotenv(others.join('\n')), ...found }
}
