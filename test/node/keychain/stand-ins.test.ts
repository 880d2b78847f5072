/**
 * macOS and Windows by programs of ours, which record their arguments and stdin. What the real ones do differently is not
 * seen here.
 */
import { randomBytes } from 'node:crypto'
import { chmod, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { systemKeychain } from '../../../src/node/keychain/system.ts'
import { failure } from '../../support/failure.ts'
import { tempFolder } from '../helpers.ts'

const SECRET = new Uint8Array(randomBytes(32))
const HEX = Buffer.from(SECRET).toString('hex')

/** `security`, as far as it is used, with one entry. */
const SECURITY = `
  case "$1" in
    -i) echo "$input" | sed 's/.* -w //' > "$0.entry" ;;
    find-generic-password) cat "$0.entry" 2> /dev/null || exit 44 ;;
    delete-generic-password) [ -e "$0.entry" ] || exit 44; rm "$0.entry" ;;
    default-keychain) echo '    "/Users/alice/Library/Keychains/login.keychain-db"' ;;
  esac`
/** PowerShell, which runs a script of ours: what is encrypted is its input backwards. */
const POWERSHELL = `
  case "$*" in
    *::Protect*) printf %s "$input" | rev ;;
    *::Unprotect*) printf %s "$input" | rev ;;
  esac`

async function standIn(body: string) {
  const folder = await tempFolder()
  const program = join(folder, 'program')
  const script = `#!/bin/sh\nprintf '%s\\n' "$@" >> "$0.arguments"\nenv > "$0.environment"\ninput=$(cat)\nprintf '%s\\n' "$input" >> "$0.stdin"\n${body}\n`
  await writeFile(program, script)
  await chmod(program, 0o755)
  const { PATH } = process.env
  const environment = { PATH, ATPROTO_OAUTH_STORE_KEY: 'canary', SystemRoot: 'C:\\Windows' }
  const read = (what: string) => readFile(`${program}.${what}`, 'utf8')
  return { program, settings: { environment, isInteractive: false, program }, read }
}

describe.each([
  ['macOS', 'darwin', SECURITY, 'macos'],
  ['Windows', 'win32', POWERSHELL, 'dpapi'],
] as const)('%s', (_, platform, body, kind) => {
  test('a secret that is stored is read, and is in stdin and no argument', async () => {
    const { settings, read } = await standIn(body)
    const keychain = await systemKeychain(settings, platform)
    const kept = await keychain.store('the-id', 'label', SECRET)
    expect(await keychain.read('the-id', kept)).toStrictEqual(SECRET)
    expect([keychain.kind, await keychain.isThere()]).toStrictEqual([kind, true])
    await keychain.remove('the-id')
    const args = await read('arguments')
    for (const encoding of ['hex', 'base64', 'base64url'] as const) {
      expect(args).not.toContain(Buffer.from(SECRET).toString(encoding))
      expect(args).not.toContain(Buffer.from(HEX).toString(encoding))
    }
    expect(await read('environment')).not.toContain('canary')
  })

  test('what reports success and keeps nothing is not relied on', async () => {
    const { settings } = await standIn('echo')
    const keychain = await systemKeychain(settings, platform)
    const error = await failure(keychain.store('the-id', 'label', SECRET))
    expect(error).toMatchObject({ code: 'STORE_LOCKED', facts: { reason: 'keychain-missing' } })
  })

  test('what does not end in time counts as locked, and is ended', async () => {
    const { settings } = await standIn('exec sleep 600')
    const timeouts = { attended: 600_000, unattended: 50 }
    const keychain = await systemKeychain({ ...settings, timeouts }, platform)
    const error = await failure(keychain.read('the-id', 'a2VwdA=='))
    expect(error).toMatchObject({ code: 'STORE_LOCKED', facts: { reason: 'keychain-locked' } })
  })
})

describe('macOS', () => {
  test('the secret is a command on stdin', async () => {
    const { settings, read } = await standIn(SECURITY)
    const keychain = await systemKeychain(settings, 'darwin')
    await keychain.store('the-id', 'label', SECRET)
    expect(await read('stdin')).toMatch(RegExp(`^add-generic-password -U -s atproto-oauth -a the-id -w ${HEX}\\n`))
    expect(await read('arguments')).toBe('-i\nfind-generic-password\n-s\natproto-oauth\n-a\nthe-id\n-w\n')
  })

  test.each([
    [44, 'keychain-entry-missing'],
    [36, 'keychain-locked'],
    [51, 'keychain-locked'],
    [128, 'keychain-locked'],
    [1, 'keychain-missing'],
  ])('exit code %i of a lookup is %s', async (code, reason) => {
    const { settings } = await standIn(`exit ${code}`)
    const keychain = await systemKeychain(settings, 'darwin')
    expect(await failure(keychain.read('the-id', undefined))).toMatchObject({ facts: { reason } })
  })
})

describe('Windows', () => {
  test('what the system encrypted is kept by us, and its script has no secret in it', async () => {
    const { settings, read } = await standIn(POWERSHELL)
    const keychain = await systemKeychain(settings, 'win32')
    const kept = await keychain.store('the-id', 'label', SECRET)
    const input = Buffer.from(HEX).toString('base64')
    expect(kept).toBe([...input].reverse().join(''))
    expect(await read('stdin')).toBe(`${input}\n${kept}\n`)
    expect(await read('arguments')).toMatch(/^-NoLogo\n-NoProfile\n-NonInteractive\n-Command\n/)
  })

  test('what another user encrypted cannot be read', async () => {
    const { settings } = await standIn('exit 1')
    const keychain = await systemKeychain(settings, 'win32')
    expect(await failure(keychain.read('the-id', 'a2VwdA=='))).toMatchObject({
      facts: { reason: 'keychain-entry-missing' },
    })
  })
})
