/** Texts of services as they document them, and of git itself. */
import { describe, expect, test } from 'vitest'
import { isOAuthError } from '../../../src/errors.ts'
import { CacheFault, fetchError, pushOutcome, showErrors } from '../../../src/node/vault/git-errors.ts'

const REF = 'refs/heads/atproto-oauth'
const shown = showErrors(['secret-canary-0123456789'])

function push(stdout: string, stderr = '', more: { code?: number | undefined; timedOut?: boolean } = {}) {
  const result = { code: 1, timedOut: false, ...more, stdout: Buffer.from(stdout), stderr }
  return pushOutcome(result, REF, 'https://a.dev/b', shown)
}

const line = (flag: string, summary: string) => `To https://a.dev/b\n${flag}\t0123abc:${REF}\t${summary}\nDone\n`
const declined = (lines: string) =>
  push(
    line('!', '[remote rejected] (pre-receive hook declined)'),
    `${lines.replace(/^/gm, 'remote: ')}\nerror: failed to push some refs`,
  )

describe('a push', () => {
  test.each([
    [' ', '0123..4567'],
    ['*', '[new branch]'],
    ['=', '[up to date]'],
    ['-', '[deleted]'],
  ])('%j is done', (flag, summary) => {
    expect(push(line(flag, summary), '', { code: 0 }).kind).toBe('done')
  })

  test.each([
    ['[rejected] (stale info)', false],
    ["[remote rejected] (cannot lock ref 'refs/heads/x': is at 1 but expected 2)", true],
    ['[remote rejected] (reference already exists)', true],
    ['[remote rejected] (incorrect old value provided)', true],
    ['[remote rejected] (failed to update ref)', true],
    ['[remote rejected] (shallow update not allowed)', true],
  ])('%s: moved', (summary, wasSent) => {
    expect(push(line('!', summary))).toMatchObject({ kind: 'moved', wasSent })
  })

  test.each([
    ['killed', '', { code: undefined }],
    ['timed out', '', { code: undefined, timedOut: true }],
    ['hung up', 'fatal: the remote end hung up unexpectedly', {}],
    ['HTTP 502', 'error: RPC failed; HTTP 502 curl 22 The requested URL returned error: 502', {}],
    ['cut', 'error: RPC failed; curl 56 Recv failure: Connection reset by peer', {}],
    ['something new', 'fatal: whatever', {}],
  ])('%s: unknown', (_, stderr, more) => {
    expect(push('', stderr, more).kind).toBe('unknown')
  })

  test('without a report: unknown', () => {
    expect(push(line('!', '[remote failure] (remote failed to report status)')).kind).toBe('unknown')
  })

  test.each([
    [
      'vault-branch-protected',
      'error: GH006: Protected branch update failed for refs/heads/x.\nerror: Changes must be made through a pull request.',
    ],
    [
      'vault-branch-protected',
      'error: GH013: Repository rule violations found for refs/heads/x.\n- Cannot create ref due to creations being restricted.',
    ],
    ['vault-branch-protected', 'GitLab: You are not allowed to push code to protected branches on this project.'],
    ['vault-branch-protected', 'Forgejo: Not allowed to push to protected branch atproto-oauth'],
    [
      'vault-signature-required',
      'error: GH006: Protected branch update failed for refs/heads/x.\nerror: Commits must have verified signatures.',
    ],
    [
      'vault-signature-required',
      'error: GH013: Repository rule violations found for refs/heads/x.\n- Commits must have verified signatures.',
    ],
    ['vault-signature-required', 'GitLab: Commit must be signed with a GPG key'],
    ['vault-write-denied', 'GitLab: You are not allowed to push code to this project.'],
    [undefined, "GitLab: Author 'x@y' is not a member of team"],
  ])('refused with %s: %s', (reason, text) => {
    const outcome = declined(text)
    if (outcome.kind !== 'failed') throw new Error(outcome.kind)
    expect(outcome.error).toMatchObject({ code: 'VAULT_REFUSED' })
    expect(outcome.error.facts.reason).toBe(reason)
    expect(outcome.error.message).toContain(text.split('\n')[0])
  })

  test.each([
    [
      'VAULT_REFUSED',
      'vault-write-denied',
      "remote: Permission to a/b.git denied to github-actions[bot].\nfatal: unable to access 'https://github.com/a/b/': The requested URL returned error: 403",
    ],
    [
      'VAULT_REFUSED',
      'vault-write-denied',
      'ERROR: Permission to a/b.git denied to deploy key\nfatal: Could not read from remote repository.',
    ],
    [
      'VAULT_REFUSED',
      'vault-write-denied',
      'ERROR: The key you are authenticating with has been marked as read only.\nfatal: Could not read from remote repository.',
    ],
    [
      'VAULT_REFUSED',
      'vault-write-denied',
      'error: RPC failed; HTTP 403 curl 22 The requested URL returned error: 403',
    ],
    ['VAULT_UNREACHABLE', undefined, "fatal: unable to access 'https://a.dev/b/': Could not resolve host: a.dev"],
    [
      'VAULT_UNREACHABLE',
      undefined,
      "fatal: unable to access 'https://a.dev/b/': The requested URL returned error: 500",
    ],
    ['VAULT_UNREACHABLE', undefined, 'error: RPC failed; HTTP 413 curl 22 The requested URL returned error: 413'],
    [
      'VAULT_UNREACHABLE',
      undefined,
      'ssh: connect to host a.dev port 22: Connection refused\nfatal: Could not read from remote repository.',
    ],
  ])('not begun: %s %s: %s', (code, reason, stderr) => {
    const outcome = push('', stderr)
    if (outcome.kind !== 'failed') throw new Error(outcome.kind)
    expect(outcome.error.code).toBe(code)
    expect(outcome.error.facts.reason).toBe(reason)
  })
})

describe('a fetch', () => {
  const fetched = (stderr: string, timedOut = false) =>
    fetchError({ code: 128, timedOut, stdout: Buffer.alloc(0), stderr }, 'https://a.dev/b', shown)

  test.each([
    ['VAULT_REFUSED', "remote: Repository not found.\nfatal: repository 'https://github.com/a/b/' not found"],
    ['VAULT_REFUSED', 'remote: Invalid username or token.\nfatal: Authentication failed for https://github.com/a/b/'],
    ['VAULT_REFUSED', "fatal: could not read Username for 'https://github.com': terminal prompts disabled"],
    ['VAULT_REFUSED', 'git@github.com: Permission denied (publickey).\nfatal: Could not read from remote repository.'],
    ['VAULT_REFUSED', 'ERROR: Repository not found.\nfatal: Could not read from remote repository.'],
    ['VAULT_REFUSED', "remote: The project you were looking for could not be found.\nfatal: repository 'x' not found"],
    [
      'VAULT_REFUSED',
      "fatal: '/x' does not appear to be a git repository\nfatal: Could not read from remote repository.",
    ],
    ['VAULT_UNREACHABLE', "fatal: unable to access 'https://a.dev/': Could not resolve host: a.dev"],
    ['VAULT_UNREACHABLE', "fatal: unable to access 'https://a.dev/': server certificate verification failed."],
    ['VAULT_UNREACHABLE', "fatal: unable to access 'https://a.dev/': The requested URL returned error: 429"],
    ['VAULT_UNREACHABLE', 'Host key verification failed.\nfatal: Could not read from remote repository.'],
    ['VAULT_UNREACHABLE', 'error: RPC failed; curl 18\nfatal: early EOF\nfatal: index-pack failed'],
  ])('%s: %s', (code, stderr) => {
    const error = fetched(stderr)
    expect(isOAuthError(error) && error.code).toBe(code)
    expect(isOAuthError(error) && error.facts.reason).toBe(code === 'VAULT_REFUSED' ? 'vault-read-denied' : undefined)
  })

  test('a certificate that git does not trust: where to set its CA', () => {
    const error = fetched(
      "fatal: unable to access 'https://a.dev/': SSL certificate problem: unable to get local issuer certificate",
    )
    expect(error.message).toContain('http.sslCAInfo')
  })

  test('in time there was no response', () => {
    expect(fetched('', true)).toMatchObject({
      code: 'VAULT_UNREACHABLE',
      message: 'cannot reach https://a.dev/b: no response in time',
    })
  })

  test.each([
    "fatal: Unable to create '/c/shallow.lock': File exists.",
    "fatal: not a git repository: '/c/repository'",
    'error: file write error: No space left on device',
    'something that only a damaged repository says',
  ])('the cache is to blame: %s', (stderr) => expect(fetched(stderr)).toBeInstanceOf(CacheFault))

  test('a full disk at the service is not one of ours', () => {
    expect(fetched('remote: fatal: No space left on device\nfatal: early EOF')).toMatchObject({
      code: 'VAULT_UNREACHABLE',
    })
  })
})

test('what is shown has no secret, no user in a URL, no more than it needs', () => {
  expect(shown('remote: a secret-canary-0123456789 b\n')).toBe('a [redacted] b')
  expect(shown("fatal: unable to access 'https://me:pass@a.dev/b/': no")).toBe(
    "unable to access 'https://[redacted]@a.dev/b/': no",
  )
  expect(shown('remote:\nremote: one \nremote: -----\nremote: two\nfatal: x\n')).toBe('one; two')
  expect(shown(`fatal: ${'x'.repeat(2000)}`).length).toBeLessThan(600)
})
