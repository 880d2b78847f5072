/**
 * The remote of a checkout, by the user's own git.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { text } from 'node:stream/consumers'
import { withoutOurs } from '../../credentials/variables.ts'
import { OAuthError } from '../../errors.ts'
import { notStarted } from './git-program.ts'

/**
 * The URL of the remote that the current branch is pushed to, else of the only remote, else of `origin`. With the whole
 * environment: this is about the repository that the user is in.
 *
 * @throws {OAuthError} `VAULT_INVALID` with `git-missing` or `git-remote-missing`
 */
export async function remoteOfCheckout(folder: string, environment: NodeJS.ProcessEnv): Promise<string> {
  const git = (...args: string[]) => ask(folder, environment, args)
  if ((await git('rev-parse', '--git-dir')) === '') throw missing('this is not a git checkout')
  const remotes = (await git('remote')).split('\n').filter((name) => name !== '')
  const branch = await git('symbolic-ref', '--quiet', '--short', 'HEAD')
  const ofBranch = branch === '' ? [] : [`branch.${branch}.pushRemote`, 'remote.pushDefault', `branch.${branch}.remote`]
  const only = remotes.length === 1 ? remotes : []
  const candidates = [...(await Promise.all(ofBranch.map((key) => git('config', '--get', key)))), ...only, 'origin']
  const name = candidates.find((candidate) => remotes.includes(candidate))
  if (name === undefined) throw missing('this checkout has no remote')
  const url = (await git('remote', 'get-url', '--push', name)).split('\n')[0]!
  if (url === '') throw missing(`the remote ${JSON.stringify(name)} of this checkout has no URL`)
  return /^\.\.?[\\/]/.test(url) ? path.resolve(await git('rev-parse', '--show-toplevel'), url) : url
}

/** What it prints; nothing if it fails. */
async function ask(folder: string, environment: NodeJS.ProcessEnv, args: readonly string[]): Promise<string> {
  const child = spawn('git', args, {
    cwd: folder,
    env: { ...withoutOurs(environment), LC_ALL: 'C' },
    stdio: ['ignore', 'pipe', 'ignore'],
    windowsHide: true,
  })
  try {
    const [output, [code]] = await Promise.all([text(child.stdout), once(child, 'close')])
    return code === 0 ? output.trim() : ''
  } catch (error) {
    throw notStarted(error)
  }
}

function missing(message: string): OAuthError {
  return new OAuthError('VAULT_INVALID', message, { facts: { reason: 'git-remote-missing' } })
}
