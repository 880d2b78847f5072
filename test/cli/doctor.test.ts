import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import { HOPS } from '../doctor/support.ts'
import { tempFolder } from '../node/helpers.ts'
import { fakeNodeRuntime, run, signIn } from '../support/cli.ts'
import { createFakeWorld, type FakeWorld } from '../support/fake-atproto.ts'
import { html } from '../support/fake-bodies.ts'

vi.mock('../../src/node/runtime.ts', async (load) => ({ ...(await load<object>()), nodeRuntime: fakeNodeRuntime }))

const SYMBOL = /^(ok|!!|xx) {2}(\S.*?) {2,}/
const verdicts = (stdout: string) =>
  stdout.split('\n').flatMap((line) => SYMBOL.exec(line)?.slice(1, 3).join(' ') ?? [])
/** A self-hosted PDS, its own authorization server, where one of the well-known paths leads to a web page. */
function withPage(): FakeWorld {
  const world = createFakeWorld({ topology: 'together' })
  world.faults.httpFault = ({ url }) => (url.endsWith('/oauth-protected-resource') ? html() : undefined)
  return world
}
const MACHINE = ['Node', 'proxy', 'CA', 'store']

test('each finding is a line on stdout, aligned, and nothing broken is 0', async () => {
  const { code, stdout, stderr } = await run(createFakeWorld(), ['doctor', 'alice.fake.dev'])
  expect(code).toBe(0)
  expect(verdicts(stdout)).toStrictEqual([...MACHINE, ...HOPS].map((topic) => `ok ${topic}`))
  expect(
    new Set(
      stdout
        .trimEnd()
        .split('\n')
        .map((line) => line.search(/(?<=^.{20} )\S/)),
    ).size,
  ).toBe(1)
  expect(stderr).toBe('No problems found.\n')
})

test('what is broken is marked, with its fix below it and the lines to copy; 4, and the first fix as the hint', async () => {
  const { code, stdout, stderr } = await run(withPage(), ['doctor', 'alice.fake.dev'])
  expect(code).toBe(4)
  expect(verdicts(stdout).filter((line) => !line.startsWith('ok'))).toStrictEqual(['xx PDS metadata'])
  expect(stdout).toMatch(/^ {21}fix: pds\.fake\.dev returned a web page: .*$/m)
  expect(stdout).toMatch(/^ {23} {2}location \^~ \/\.well-known\/oauth- \{\n {23} {4}proxy_pass /m)
  expect(stderr.split('\n')).toStrictEqual([
    'atproto-oauth: error: broken: PDS metadata [DOCTOR_FOUND]',
    expect.stringMatching(/^atproto-oauth: hint: pds\.fake\.dev returned a web page: /),
    '',
  ])
})

test('--json: one object a line, and the error as one on stderr', async () => {
  const { code, stdout, stderr } = await run(withPage(), ['doctor', 'alice.fake.dev', '--json'])
  expect(code).toBe(4)
  const findings = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
  expect(findings.map(({ topic }) => topic)).toStrictEqual([...MACHINE, ...HOPS.slice(0, -1)])
  for (const finding of findings)
    expect(finding).toMatchObject({ detail: expect.any(String), milliseconds: expect.any(Number) })
  expect(findings.find(({ verdict }) => verdict === 'broken').fix).toContain('\n')
  expect(JSON.parse(stderr)).toMatchObject({ code: 'DOCTOR_FOUND', exit: 4, session: 'none' })
})

test('a warning is told and exits with 0', async () => {
  const world = createFakeWorld({ faults: { clockOffsetMs: 90_000 } })
  const { code, stdout, stderr } = await run(world, ['doctor', 'alice.fake.dev'])
  expect(code).toBe(0)
  expect(verdicts(stdout).filter((line) => !line.startsWith('ok'))).toStrictEqual(['!! clock', '!! clock'])
  expect(stderr).toBe('No problems found. Warnings: 2.\n')
})

describe('without an identifier', () => {
  test('only this machine, if there is no session', async () => {
    const world = createFakeWorld()
    const { code, stdout, stderr } = await run(world, ['doctor'])
    expect(code).toBe(0)
    expect(verdicts(stdout)).toStrictEqual(MACHINE.map((topic) => `ok ${topic}`))
    expect(stderr).toContain('No account was checked')
    expect(world.requests).toStrictEqual([])
  })

  test('the account of the environment', async () => {
    const world = createFakeWorld()
    const env = await signIn(world)
    const { code, stdout } = await run(world, ['doctor'], { env })
    expect(code).toBe(0)
    expect(stdout).toContain(world.alice.did)
    expect(verdicts(stdout)).toContain('ok session')
  })

  test('an environment that cannot be read is a finding, and not quoted', async () => {
    const world = createFakeWorld()
    const env = { ...(await signIn(world)), ATPROTO_OAUTH_DPOP_PRIVATE_JWK: '{"d":"secret-secret"}' }
    const { code, stdout, stderr } = await run(world, ['doctor', 'alice.fake.dev'], { env })
    expect(code).toBe(4)
    expect(verdicts(stdout)).toContain('xx environment')
    expect(verdicts(stdout)).toContain('ok pushed request')
    expect(stdout + stderr).not.toContain('secret-secret')
  })
})

describe('the user’s settings', () => {
  async function withSettings(content: string) {
    const home = await tempFolder()
    const path = join(home, 'config.json')
    await writeFile(path, content, { mode: 0o600 })
    const ran = await run(createFakeWorld(), ['doctor', 'alice.fake.dev', '--json'], {
      env: { ATPROTO_OAUTH_HOME: home },
    })
    const findings: { topic: string; verdict: string; detail: string; fix?: string }[] = ran.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
    return { ran, path, findings, ofSettings: findings.filter(({ topic }) => topic === 'settings') }
  }

  test.each(['{', '[]', '"alice.fake.dev"'])(
    'that cannot be read (%s) are a finding, and all else is checked',
    async (content) => {
      const { ran, path, findings, ofSettings } = await withSettings(content)
      expect(ran.code).toBe(4)
      expect(ofSettings).toMatchObject([
        { verdict: 'broken', detail: expect.stringContaining(path), fix: expect.stringContaining(`rm ${path}`) },
      ])
      expect(findings.map(({ topic }) => topic)).toStrictEqual([...MACHINE, 'settings', ...HOPS])
      expect(ran.stderr).toContain('DOCTOR_FOUND')
    },
  )

  test.each([
    ['plc-url', 'http://plc.fake.dev'],
    ['handle-resolver', 5],
    ['save', ['stroe']],
    ['client-id', 'https://app.fake.dev'],
    ['redirect-uri', 'x'],
    ['account', 'https://pds.fake.dev'],
    ['encrypt-store', 'yes'],
  ])('one that is not valid (%s) is a finding, and all else is checked without it', async (key, value) => {
    const { ran, path, findings, ofSettings } = await withSettings(JSON.stringify({ [key]: value, later: 1 }))
    expect(ran.code).toBe(4)
    expect(ofSettings).toMatchObject([
      { verdict: 'broken', detail: expect.stringContaining(`${key} in ${path}`), fix: expect.any(String) },
      { verdict: 'warning', detail: expect.stringContaining('later') },
    ])
    expect(findings.filter(({ topic }) => topic !== 'settings').map(({ topic }) => topic)).toStrictEqual([
      ...MACHINE,
      ...HOPS,
    ])
  })

  test('that are sound are used', async () => {
    const { ran, path, findings, ofSettings } = await withSettings(
      JSON.stringify({ 'client-id': 'https://app.fake.dev/gone.json' }),
    )
    expect(ran.code).toBe(4)
    expect(ofSettings).toMatchObject([{ verdict: 'ok', detail: `${path}: client-id` }])
    const document = findings.filter(({ topic }) => topic === 'client document')
    expect(document).toMatchObject([{ verdict: 'broken', detail: expect.stringContaining('app.fake.dev') }])
  })
})

test.each([
  ['an identifier that is none', ['doctor', 'alice'], 'IDENTIFIER_INVALID'],
  ['an empty setting', ['doctor', 'alice.fake.dev', '--scope', ''], 'USAGE'],
])('%s leaves stdout empty', async (_, args, code) => {
  const ran = await run(createFakeWorld(), args)
  expect(ran).toMatchObject({ code: 2, stdout: '' })
  expect(ran.stderr).toContain(`[${code}]`)
})
