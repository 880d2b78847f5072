/**
 * Where credentials go: `store`, `vault`, `file:PATH`, `gh:[OWNER/REPO][@ENVIRONMENT]`, `exec:COMMAND`.
 */
import { resolve } from 'node:path'
import { OAuthError } from '../../errors.ts'
import type { SaveTarget } from '../../ports.ts'
import { expandTilde } from '../home.ts'
import { fileTarget } from './file.ts'
import { githubTarget, type ProgramSettings, programTarget } from './program.ts'

/** The per-user store, where every rotation is stored anyway. */
export const STORE = 'store'
/** The vault that is set. */
export const VAULT = 'vault'
const GITHUB = /^(?<repository>[\w.-]+\/[\w.-]+)?(?:@(?<environment>[^@/\s]+))?$/

/**
 * Normalizes a target, so that it can be opened from another folder.
 *
 * @param absolute resolves the path of a file
 * @throws {OAuthError} `USAGE`
 */
export function normalizeTarget(spec: string, absolute: (path: string) => string = absolutePath): string {
  const [kind, rest] = split(spec)
  if (spec === STORE || spec === VAULT) return spec
  if (kind === 'file' && rest !== '') return `file:${absolute(expandTilde(rest))}`
  if (kind === 'gh' && GITHUB.test(rest)) return spec
  if (kind === 'exec' && rest.trim() !== '') return spec
  const targets = targetsMeantBy(spec)
  const isPath = /^(?:[a-z]:|~|\.{0,2})[/\\]|^[^:]+\.[a-z]+$/i.test(spec)
  throw new OAuthError('USAGE', `unknown save target ${JSON.stringify(spec)}`, {
    facts: { reason: 'target-malformed', ...(targets ? { targets } : isPath && { file: spec }) },
  })
}

/** Several targets in one, or a repository by its URL. */
function targetsMeantBy(spec: string): readonly string[] | undefined {
  const [, repository] = /^(?:gh:)?https:\/\/github\.com\/([\w.-]+\/[\w.-]+?)(?:\.git)?\/?$/.exec(spec) ?? []
  if (repository !== undefined) return [`gh:${repository}`]
  const parts = spec.split(/[,;]\s*(?=(?:store$|store[,;]|file:|gh:|exec:))/)
  return parts.length > 1 ? parts : undefined
}

function absolutePath(path: string): string {
  try {
    return resolve(path)
  } catch (error) {
    const message = `cannot use the relative path ${JSON.stringify(path)}: the current directory no longer exists`
    throw new OAuthError('USAGE', message, { cause: error, facts: { reason: 'working-directory-gone' } })
  }
}

/** @param spec normalized; neither `store` nor `vault`, which need no target */
export function openTarget(spec: string, programs: ProgramSettings): SaveTarget {
  const [kind, rest] = split(spec)
  if (kind === 'file') return fileTarget(spec, rest)
  if (kind === 'exec') return programTarget(spec, rest, programs)
  if (kind !== 'gh') return foreignTarget(spec)
  const { repository, environment } = GITHUB.exec(rest)?.groups ?? {}
  return githubTarget(spec, { repository, environment }, programs)
}

/** A program's own target, recorded in a store that others use too: only that program can save there. */
function foreignTarget(name: string): SaveTarget {
  const save = async () => {
    throw new OAuthError('SAVE_FAILED', `the save target ${JSON.stringify(name)} belongs to another program`)
  }
  return { name, durable: false, save }
}

function split(spec: string): [kind: string, rest: string] {
  const at = spec.indexOf(':')
  return at < 0 ? [spec, ''] : [spec.slice(0, at), spec.slice(at + 1)]
}
