/**
 * The environment of the program that `run` starts.
 */
import { type Environment, withoutOurs } from '../../credentials/variables.ts'
import type { KnownProgram } from './programs.ts'
import { type FrontAccess, fillIn, type VariableTemplate } from './templates.ts'

/** What every program gets, whatever it reads. */
const OURS: readonly VariableTemplate[] = [
  ['ATPROTO_OAUTH_RUN_URL', '{url}'],
  ['ATPROTO_OAUTH_RUN_HANDLE', '{handle}'],
  ['ATPROTO_OAUTH_RUN_DID', '{did}'],
  ['ATPROTO_OAUTH_RUN_PASSWORD', '{password}'],
]
/** Otherwise a program with a proxy would send the password and its requests to it. */
const LOOPBACK = ['127.0.0.1', 'localhost']

/** The variables that tell of the front; of two with the same name, the later one counts. */
export function frontVariables(
  access: FrontAccess,
  program: KnownProgram | undefined,
  added: readonly VariableTemplate[],
): (readonly [name: string, value: string])[] {
  const templates = new Map([...OURS, ...Object.entries(program?.environment ?? {}), ...added])
  return [...templates].map(([name, template]) => [name, fillIn(template, access)])
}

/**
 * What we were given, without our own variables: no credentials of the session are in it. On Windows, names that differ
 * in their case are one variable.
 */
export function programEnvironment(
  inherited: Environment,
  variables: readonly (readonly [name: string, value: string])[],
  platform: NodeJS.Platform,
): Record<string, string | undefined> {
  const same = (name: string) => (platform === 'win32' ? name.toUpperCase() : name)
  const replaced = new Set(variables.map(([name]) => same(name)))
  const kept = Object.entries({ ...withoutOurs(inherited), ...withLoopback(inherited) })
  return Object.fromEntries([...kept.filter(([name]) => !replaced.has(same(name))), ...variables])
}

/** `NO_PROXY`, in each case that it is written in; programs differ in the one that they read. */
function withLoopback(inherited: Environment): Record<string, string> {
  const names = Object.keys(inherited)
  const present = names.filter((name) => name.toLowerCase() === 'no_proxy')
  const hasProxy = names.some((name) => /^(?:https?|all)_proxy$/i.test(name) && inherited[name] !== '')
  const listed = new Set(present.flatMap((name) => inherited[name]?.split(/[\s,]+/) ?? []).filter(Boolean))
  // A star alone stands for all hosts, but not in a list.
  if ((!hasProxy && listed.size === 0) || listed.has('*')) return {}
  const all = [...new Set([...listed, ...LOOPBACK])].join(',')
  return Object.fromEntries([...new Set([...present, 'NO_PROXY', 'no_proxy'])].map((name) => [name, all]))
}
