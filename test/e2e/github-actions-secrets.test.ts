/** The template of a workflow, set up by the commands at its top and run step by step, against the real PDS. */
import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import packageJson from '../../package.json' with { type: 'json' }
import { formatCredentials } from '../../src/credentials/write.ts'
import { complete } from '../../src/login/complete.ts'
import { lacks } from '../support/machine.ts'
import { readWorkflow } from '../support/workflow.ts'
import { signIn } from '../world/person.ts'
import { type Account, connectWorld } from '../world/world.ts'
import { createGithub, type Github, PERSONAL_TOKEN, REPOSITORY } from './github.ts'
import { CONSENT, callbackFor, library, newHome, sentByUs } from './support.ts'

const world = connectWorld()
const content = await readFile(new URL('../../oauth-templates/github-actions-secrets.yml', import.meta.url), 'utf8')
const { jobs } = await readWorkflow(content)
const [post, each, expiry] = jobs as [(typeof jobs)[0], (typeof jobs)[0], (typeof jobs)[0]]
const commands = [...content.matchAll(/^# {3}(\S.*)$/gm)].map(([, command]) => command!)

const DAY = 24 * 3600 * 1000
const DISPATCHED = { 'inputs.text': 'a cat & $(id)', "inputs.text != ''": 'true' }
const SCHEDULED = { 'inputs.text': '', "inputs.text != ''": 'false' }

/** What a person does once. */
async function setUp(github: Github, account: Account): Promise<void> {
  const begin = commands.slice(0, 5).join('\n')
  const here = (script: string) =>
    `set -eo pipefail\n${script.replace('OWNER/REPO', REPOSITORY).replace('alice.bsky.social', account.handle)}`
  const begun = await github.shell(here(begin), PERSONAL_TOKEN)
  expect(begun, begun.stderr).toMatchObject({ code: 0 })
  const callback = await signIn(begun.stdout.trim(), account, CONSENT)
  const done = await github.shell(here(`${commands[0]}\n${commands[5]}`), callback)
  expect(done, done.stderr).toMatchObject({ code: 0, stdout: '' })
}

type Bundle = { refreshToken: string; createdAt: number; dpopPrivateJwk: { d: string } }
const unpack = (bundle: string | undefined): Bundle => JSON.parse(Buffer.from(bundle!, 'base64url').toString())
const session = async (github: Github) => unpack((await github.secrets('atproto'))['ATPROTO_OAUTH_SESSION'])

async function posts({ did }: Account): Promise<{ text: string; langs?: string[] }[]> {
  const query = new URLSearchParams({ repo: did, collection: 'app.bsky.feed.post' })
  const answer = await fetch(`${world.pdsUrl}/xrpc/com.atproto.repo.listRecords?${query}`)
  const { records } = (await answer.json()) as { records: { value: { text: string; langs?: string[] } }[] }
  return records.map(({ value }) => value)
}

test.skipIf(lacks('jq'))(
  'two runs: posts with the lease alone, a rotated token each, nothing secret in the logs, one issue',
  async () => {
    const github = await createGithub(packageJson.version)
    const account = await world.createAccount()
    await setUp(github, account)
    expect(Object.keys(await github.secrets('atproto'))).toStrictEqual([
      'GH_TOKEN_FOR_SECRETS',
      'ATPROTO_OAUTH_SESSION',
    ])
    const first = await session(github)

    const posted = await github.runJob(post, DISPATCHED)
    expect(posted.code, posted.log).toBe(0)
    expect(await posts(account)).toMatchObject([{ text: 'a cat & $(id)' }])
    const second = await session(github)
    expect(second.refreshToken).not.toBe(first.refreshToken)
    const lease = await github.secrets('atproto-lease')
    expect(Object.keys(lease).sort()).toStrictEqual([
      'ATPROTO_OAUTH_ACCESS_TOKEN',
      'ATPROTO_OAUTH_DID',
      'ATPROTO_OAUTH_DPOP_PRIVATE_JWK',
      'ATPROTO_OAUTH_PDS_ISSUER',
    ])
    expect(posted.raw).toContain(`::add-mask::${lease['ATPROTO_OAUTH_ACCESS_TOKEN']}\n`)

    await world.clearRequests()
    const languages = each.matrix['language']!
    const legs = await Promise.all(
      languages.map((language) => github.runJob(each, { ...DISPATCHED, 'matrix.language': language })),
    )
    expect(legs.map(({ code }) => code)).toStrictEqual(languages.map(() => 0))
    expect(new Set((await sentByUs(world)).filter((sent) => sent.startsWith('POST')))).toStrictEqual(
      new Set(['POST pds /xrpc/com.atproto.repo.createRecord']),
    )
    const texts = (await posts(account)).map(({ text }) => text)
    expect(texts.toSorted()).toStrictEqual(
      ['a cat & $(id)', ...languages.map((language) => `a cat & $(id) (${language})`)].toSorted(),
    )
    const lasting = await github.runJob(expiry, DISPATCHED)
    expect(lasting.code, lasting.log).toBe(0)
    expect(await github.issues()).toStrictEqual([])

    // Ten days later.
    const later = { ...second, createdAt: second.createdAt - 10 * DAY }
    await github.setSecret('atproto', 'ATPROTO_OAUTH_SESSION', Buffer.from(JSON.stringify(later)).toString('base64url'))
    const renewed = await github.runJob(post, SCHEDULED)
    expect(renewed.code, renewed.log).toBe(0)
    const third = await session(github)
    expect(third).toMatchObject({ createdAt: later.createdAt })
    expect(third.refreshToken).not.toBe(second.refreshToken)
    const near = [await github.runJob(expiry, SCHEDULED), await github.runJob(expiry, SCHEDULED)]
    for (const { code, log } of near) {
      expect(code, log).toBe(0)
      expect(log).toContain('::warning title=The atproto session ends soon::')
    }
    expect(await github.issues()).toStrictEqual(['The atproto session ends soon'])
    expect(await posts(account)).toHaveLength(1 + languages.length)

    const logs = [posted, ...legs, lasting, renewed, ...near].map(({ log }) => log).join('')
    const last = await github.secrets('atproto-lease')
    const tokens = [first, second, third].map(({ refreshToken }) => refreshToken)
    const leased = [lease, last].map((secrets) => secrets['ATPROTO_OAUTH_ACCESS_TOKEN']!)
    for (const secret of [...tokens, ...leased, first.dpopPrivateJwk.d, PERSONAL_TOKEN]) {
      expect(secret).toMatch(/\S{9}/)
      expect(logs).not.toContain(secret)
    }
    expect(logs).toContain('***')
  },
)

test.skipIf(lacks('jq'))('without a token that may write secrets nothing is spent, and the run fails', async () => {
  const github = await createGithub(packageJson.version)
  const [account, home] = [await world.createAccount(), await newHome()]
  const { credentials } = await complete(await callbackFor(account, home), library(world, home))
  await github.setSecret('atproto', 'ATPROTO_OAUTH_SESSION', formatCredentials(credentials, 'bundle').trim())
  await github.setSecret('atproto', 'GH_TOKEN_FOR_SECRETS', 'ghs_that-of-the-job-will-not-do')
  const before = await session(github)
  await world.clearRequests()
  const { code, log } = await github.runJob(post, DISPATCHED)
  expect([code, log]).toStrictEqual([10, expect.stringContaining('nothing was sent')])
  expect(await sentByUs(world)).not.toContain('POST pds /oauth/token')
  expect(await session(github)).toStrictEqual(before)
  expect(await posts(account)).toStrictEqual([])
})

test.skipIf(lacks('jq'))('a client with a key: the key is one more secret of the environment', async () => {
  const github = await createGithub(packageJson.version)
  const script = [...commands.slice(0, 2), ...commands.slice(6)].join('\n').replace('OWNER/REPO', REPOSITORY)
  const { code, stderr } = await github.shell(`set -e\n${script}`)
  expect(code, stderr).toBe(0)
  const secrets = await github.secrets('atproto')
  expect(Object.keys(secrets)).toStrictEqual(['ATPROTO_OAUTH_CLIENT_JWK'])
  const key = { kty: 'EC', d: expect.any(String), kid: expect.any(String) }
  expect(JSON.parse(secrets['ATPROTO_OAUTH_CLIENT_JWK']!)).toMatchObject(key)
})
