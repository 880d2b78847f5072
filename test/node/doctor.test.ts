import { chmod, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { inspectMachine } from '../../src/node/doctor.ts'
import { createPendingStore } from '../../src/node/store/logins.ts'
import { createSessionStore } from '../../src/node/store/sessions.ts'
import type { Finding } from '../../src/ports.ts'
import { createCertificate } from '../support/certificates.ts'
import { signedIn, stored } from '../support/login.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'atproto-oauth-health-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

async function inspect(
  environment: Record<string, string> = {},
  home: string | undefined = join(folder, 'home'),
  platform = process.platform,
): Promise<Finding[]> {
  const findings: Finding[] = []
  for await (const finding of inspectMachine({ home, environment, platform })) findings.push(finding)
  return findings
}
const of = (topic: string, findings: readonly Finding[]) => findings.filter((finding) => finding.topic === topic)
const notOk = (findings: readonly Finding[]) => findings.filter(({ verdict }) => verdict !== 'ok')

/** A home with one session and one login in it, as the stores write them. */
async function homeWithSession(): Promise<{ home: string; session: string; pending: string }> {
  const home = join(folder, 'home')
  const { world } = await signedIn()
  const { world: other, credentials } = await signedIn()
  const { server, thumbprint, ...rest } = credentials
  other.stores.sessionRecords.set(thumbprint!, {
    version: 1,
    ...rest,
    thumbprint: thumbprint!,
    pds: server!,
    scope: 'atproto',
    spentTokens: [],
  })
  const record = stored(other)
  await createSessionStore(home, { holdSignals: (work) => work() }).update(record.thumbprint, ({ commit }) =>
    commit(record),
  )
  await createPendingStore(home).put([...world.stores.pendingRecords.values()][0]!)
  const [login] = await readdir(join(home, 'pending'))
  return { home, session: join(home, 'sessions', `${record.thumbprint}.json`), pending: join(home, 'pending', login!) }
}

test('a new machine has nothing wrong, and nothing is made on it', async () => {
  const findings = await inspect()
  expect(notOk(findings)).toStrictEqual([])
  expect(findings.map(({ topic }) => topic)).toStrictEqual(['Node', 'proxy', 'CA', 'store'])
  expect(findings[0]!.detail).toContain(process.version)
  expect(await readdir(folder)).toStrictEqual([])
})

test('a user without a home is told what to set', async () => {
  const findings: Finding[] = []
  for await (const finding of inspectMachine({ home: undefined, environment: {}, platform: 'linux' }))
    findings.push(finding)
  expect(notOk(findings)).toMatchObject([
    { topic: 'store', verdict: 'broken', fix: { facts: { reason: 'home-needed' } } },
  ])
})

describe('proxies', () => {
  test('are shown without their passwords, lower case first', async () => {
    const [proxy] = of(
      'proxy',
      await inspect({
        https_proxy: 'http://me:hunter2@proxy.lan:3128',
        HTTPS_PROXY: 'http://other.lan',
        HTTP_PROXY: 'me:hunter2@proxy.lan:3129',
        NO_PROXY: 'localhost,.lan',
      }),
    )
    expect(proxy!.detail).toBe(
      'HTTPS_PROXY is http://proxy.lan:3128 with a password; HTTP_PROXY is http://proxy.lan:3129 with a password; not used for localhost,.lan',
    )
    expect(proxy!.detail).not.toContain('hunter2')
  })

  test('entries of NO_PROXY that cannot be used are named, without a password, if there is a proxy', async () => {
    const NO_PROXY = 'localhost,10.*,http://me:hunter2@pds.lan,10.0.0.0/8'
    const [set, unusable, ...others] = of('proxy', await inspect({ HTTPS_PROXY: 'http://proxy.lan', NO_PROXY }))
    expect(others).toStrictEqual([])
    expect(JSON.stringify([set, unusable])).not.toContain('hunter2')
    expect(unusable).toMatchObject({
      verdict: 'warning',
      detail: 'NO_PROXY has entries that cannot be used: "10.*", "pds.lan"',
      fix: expect.stringContaining('CIDR block'),
    })
    expect(of('proxy', await inspect({ NO_PROXY }))).toHaveLength(1)
  })
})

describe('CAs', () => {
  const certificate = async () => {
    const path = join(folder, 'cert.pem')
    await writeFile(path, (await createCertificate(['localhost'])).cert)
    return path
  }
  const ca = async (path: string) => of('CA', await inspect({ NODE_EXTRA_CA_CERTS: path }))

  test('of one’s own are counted', async () => {
    const path = await certificate()
    expect(await ca(path)).toMatchObject([
      { verdict: 'ok', detail: `NODE_EXTRA_CA_CERTS (${path}) adds 1 certificate` },
    ])
  })

  test('that cannot be used are broken', async () => {
    const noPem = join(folder, 'no.pem')
    await writeFile(noPem, 'not a certificate')
    const damaged = join(folder, 'damaged.pem')
    await writeFile(
      damaged,
      (await readFile(await certificate(), 'utf8')).replace(/(?<=CATE-----\n).{20}/, 'A'.repeat(20)),
    )
    for (const path of [join(folder, 'absent.pem'), folder, noPem, damaged]) {
      expect(await ca(path), path).toMatchObject([{ verdict: 'broken', fix: expect.stringContaining('PEM') }])
    }
  })

  test('20.3 a switched-off check is switched on again here, and told', async () => {
    const findings = of('CA', await inspect({ NODE_TLS_REJECT_UNAUTHORIZED: '0' }))
    expect(findings.map(({ verdict }) => verdict)).toStrictEqual(['warning', 'ok'])
  })
})

describe('the store', () => {
  test('as it was written has nothing wrong, and is not changed', async () => {
    const { session, pending } = await homeWithSession()
    const before = await Promise.all([session, pending].map((path) => readFile(path, 'utf8')))
    const findings = await inspect()
    expect(notOk(findings)).toStrictEqual([])
    expect(of('files', findings)).toHaveLength(2)
    expect(await Promise.all([session, pending].map((path) => readFile(path, 'utf8')))).toStrictEqual(before)
  })

  test('a home that is a file', async () => {
    const home = join(folder, 'file')
    await writeFile(home, '')
    for (const path of [home, join(home, 'below')]) {
      const fix = { facts: { reason: 'directory-expected', path: home } }
      expect(notOk(await inspect({}, path)), path).toMatchObject([{ topic: 'store', verdict: 'broken', fix }])
    }
  })

  test.skipIf(process.platform === 'win32').each(['session', 'pending'] as const)(
    '20.6 a %s other users can read',
    async (which) => {
      const path = (await homeWithSession())[which]
      await chmod(path, 0o640)
      expect(notOk(await inspect())).toMatchObject([
        {
          topic: 'files',
          verdict: 'broken',
          detail: `other users can read ${path}`,
          fix: { facts: { reason: 'file-mode', path } },
        },
      ])
    },
  )

  test.skipIf(process.platform === 'win32')('a folder other users can list', async () => {
    const { home } = await homeWithSession()
    await chmod(join(home, 'sessions'), 0o755)
    expect(notOk(await inspect())).toMatchObject([
      { verdict: 'warning', fix: { facts: { reason: 'folder-mode', path: join(home, 'sessions') } } },
    ])
  })

  test('on Windows modes mean nothing: nothing is found in them, and nothing claimed', async () => {
    const { home, session, pending } = await homeWithSession()
    for (const path of [session, pending]) await chmod(path, 0o666)
    await chmod(join(home, 'sessions'), 0o777)
    const findings = await inspect({}, home, 'win32')
    expect(notOk(findings)).toStrictEqual([])
    expect(of('files', findings).map(({ detail }) => detail)).toStrictEqual([
      `1 session in ${join(home, 'sessions')}`,
      `1 login in ${join(home, 'pending')}`,
    ])
    expect(findings[0]!.detail).toContain('win32')
  })

  test('a damaged login on Windows', async () => {
    await mkdir(join(folder, 'pending'), { recursive: true })
    const path = join(folder, 'pending', 'x.json')
    await writeFile(path, '{')
    expect(notOk(await inspect({}, folder, 'win32'))).toMatchObject([
      { fix: { facts: { reason: 'record-damaged', kind: 'pending', path } } },
    ])
  })

  test('a damaged session is told by its name, and not quoted', async () => {
    const { session } = await homeWithSession()
    const text = await readFile(session, 'utf8')
    await writeFile(session, text.replace(/"refreshToken": "ref-/, '"refreshToken": "REF-'))
    const [finding, ...others] = notOk(await inspect())
    expect(others).toStrictEqual([])
    expect(finding).toMatchObject({ topic: 'files', verdict: 'broken', detail: expect.stringContaining(session) })
    expect(JSON.stringify(finding)).not.toContain('REF-')
  })

  test('a damaged login is worth a warning', async () => {
    const { pending } = await homeWithSession()
    await writeFile(pending, '{')
    expect(notOk(await inspect())).toMatchObject([
      { verdict: 'warning', fix: { facts: { reason: 'record-damaged', kind: 'pending', path: pending } } },
    ])
  })

  test.skipIf(process.platform === 'win32')('20.6 a session behind a link', async () => {
    const { session, home } = await homeWithSession()
    const elsewhere = join(folder, 'elsewhere')
    await writeFile(elsewhere, await readFile(session))
    await rm(session)
    await symlink(elsewhere, session)
    await mkdir(join(home, 'sessions', 'not-ours'), { recursive: true })
    expect(notOk(await inspect())).toMatchObject([
      { verdict: 'broken', detail: expect.stringContaining('symbolic link') },
    ])
  })
})
