/**
 * docs/ci.md and the files in oauth-templates/ that it names: set up by the commands as they stand there, then run step by
 * step as a runner does, on github.com's stand-in or Redis, and the real PDS. (The others: test/thorough/ci-recipes.test.ts.)
 */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { parseAllDocuments } from 'yaml'
import packageJson from '../../package.json' with { type: 'json' }
import type { Block } from '../support/blocks.ts'
import { type GitHost, startGitHost } from '../support/git-host.ts'
import { WRITER } from '../support/git-server.ts'
import { lacks } from '../support/machine.ts'
import { startRedisServer } from '../support/redis-server.ts'
import { readWorkflow } from '../support/workflow.ts'
import { runCli, runShell } from '../world/cli.ts'
import { signIn } from '../world/person.ts'
import { type Account, connectWorld } from '../world/world.ts'
import { blocksOfCi, DAY, expired, follow, newMachine, posts, template, vaultOf } from './ci-support.ts'
import { createGithub, type Github, PERSONAL_TOKEN, REPOSITORY } from './github.ts'
import { CONSENT } from './support.ts'

const world = connectWorld()
const blocks = await blocksOfCi()
const taken = new Set<Block>()

function take(heading: string, count = 1): Block[] {
  const found = blocks.filter((block) => block.heading === heading)
  expect(found).toHaveLength(count)
  for (const block of found) taken.add(block)
  return found
}

describe.skipIf(lacks('jq'))('GitHub Actions, with git over HTTPS as github.com', () => {
  let host: GitHost
  beforeAll(async () => {
    host = await startGitHost('github.com')
  })
  afterAll(() => host.close())

  async function setUp(): Promise<{ github: Github; account: Account }> {
    const [account, github] = [await world.createAccount(), await createGithub(packageJson.version, host)]
    host.server.repository(REPOSITORY).setTip(undefined)
    const [block] = take('GitHub Actions')
    await follow(block!.text, account, github.home, `${join(github.home.path, 'bin')}:${process.env['PATH']}`)
    return { github, account }
  }

  test('from nothing to posts: four commands and one secret; an expired token is refreshed once for all jobs', async () => {
    const { github, account } = await setUp()
    const [block] = take('GitHub Actions')
    expect(block!.text.match(/^\S.*$/gm)).toHaveLength(4)
    expect(Object.keys(await github.secrets())).toStrictEqual(['ATPROTO_OAUTH_VAULT_KEY'])
    expect(await github.dispatched()).toStrictEqual([`atproto.yml --repo ${REPOSITORY} -f text=hello from a workflow`])

    const { jobs } = await readWorkflow(await template('github-actions.yml'))
    const [post, expiry] = jobs
    const languages = post!.matrix['language']!
    const run = (language: string, job = post!) =>
      github.runJob(job, { 'inputs.text': 'a cat & $(id)', 'matrix.language': language })
    const vault = await vaultOf(github.home)
    const first = await vault.session()
    const fresh = await run('en')
    expect(fresh.code, fresh.log).toBe(0)
    expect(await posts(account)).toStrictEqual(['a cat & $(id) (en)'])

    await vault.change(expired)
    const refused = await run('en', { ...post!, permissions: { contents: 'read' } })
    expect([refused.code, refused.log]).toStrictEqual([4, expect.stringContaining('[VAULT_REFUSED]')])
    expect((await vault.session()).rotation).toBe(0)

    // One job after the other: jobs that wait for a refresh are in the thorough tests.
    const [refreshing, ...others] = languages
    const after = [await run(refreshing!), ...(await Promise.all(others.map((language) => run(language))))]
    for (const { code, log } of after) expect(code, log).toBe(0)
    const all = ['en', ...languages].map((language) => `a cat & $(id) (${language})`)
    expect(await posts(account)).toStrictEqual(all.sort())
    const second = await vault.session()
    expect(second.rotation).toBe(1)

    const lasting = await github.runJob(expiry!, {})
    expect(lasting.code, lasting.log).toBe(0)
    expect(await github.issues()).toStrictEqual([])
    await vault.change(({ createdAt }) => ({ createdAt: createdAt! - 10 * DAY }))
    const near = [await github.runJob(expiry!, {}), await github.runJob(expiry!, {})]
    for (const { code, log } of near) expect(code, log).toBe(0)
    expect(await github.issues()).toStrictEqual(['The atproto session ends soon'])
    await vault.change(({ createdAt }) => ({ createdAt: createdAt! - 10 * DAY }))
    expect((await github.runJob(expiry!, {})).code).toBe(5)

    const raw = [fresh, refused, ...after, lasting, ...near].map((each) => each.raw).join('')
    const tokens = [first, second].flatMap(({ refreshToken, accessToken }) => [refreshToken, accessToken!])
    for (const secret of [vault.key, WRITER.password, ...tokens, first.dpopPrivateJwk.d]) {
      expect(secret).toMatch(/\S{9}/)
      expect(raw).not.toContain(secret)
    }
  })

  test('after a checkout, which leaves a header with the token in the configuration', async () => {
    const { github, account } = await setUp()
    host.server.repository(REPOSITORY).commit({ 'post.txt': 'from a file' }, 'main')
    const [block] = take('With a checkout')
    const { errors, jobs } = await readWorkflow(block!.text)
    expect(errors).toStrictEqual([])
    const vault = await vaultOf(github.home)
    await vault.change(expired)
    const { code, log } = await github.runJob(jobs[0]!, {})
    expect(code, log).toBe(0)
    expect(await posts(account)).toStrictEqual(['from a file'])
    expect((await vault.session()).rotation).toBe(1)
    expect(host.server.requests.filter(({ authorization }) => authorization.length > 1)).toStrictEqual([])
  })
})

test.skipIf(lacks('redis-server'))('Kubernetes: a Secret with the key and the password of Redis', async () => {
  const password = 'canary/3f9a'
  const server = await startRedisServer(['--requirepass', password])
  onTestFinished(() => server.close())
  const address = `redis://127.0.0.1:${server.port}`
  const account = await world.createAccount()
  const kubectl = `#!/bin/bash
set -eu
if [ "$1" = apply ]; then
  [ "$2 $3 $4 $5" = '--filename - --filename kubernetes-cronjob.yml' ]
  cat - <(echo ---) "$5" > "$HOME/applied"
else
  [ "$1 $2 $3 $5 $6 $7" = 'create secret generic --dry-run=client --output yaml' ]
  printf 'kind: Secret\\nmetadata: { name: %s }\\ndata:\\n' "$4"
  for option in "\${@:8}"; do
    [[ $option =~ ^--from-file=([A-Z_]+)=(.*)$ ]]
    printf '  %s: %s\\n' "\${BASH_REMATCH[1]}" "$(base64 -w 0 "\${BASH_REMATCH[2]}")"
  done
fi
`
  const { home, PATH } = await newMachine({ kubectl })
  const content = (await template('kubernetes-cronjob.yml')).replace('rediss://redis.example.com', address)
  await writeFile(join(home.path, 'kubernetes-cronjob.yml'), content)
  const [block] = take('Kubernetes')
  const script = block!.text.replace('rediss://redis.example.com', address)
  await follow(script, account, home, PATH, `${password}\n`)
  const applied = parseAllDocuments(await readFile(join(home.path, 'applied'), 'utf8')).map((each) => each.toJS())
  const [kept, job] = applied
  expect(applied.map(({ kind }) => kind)).toStrictEqual(['Secret', 'CronJob'])

  const { spec } = job
  expect(spec.jobTemplate.spec.backoffLimit).toBe(0)
  const [container] = spec.jobTemplate.spec.template.spec.containers
  expect(kept.metadata.name).toBe(container.envFrom[0].secretRef.name)
  const values = Object.entries<string>(kept.data).map(([name, value]) => [name, `${Buffer.from(value, 'base64')}`])
  expect(values.map(([name]) => name)).toStrictEqual(['ATPROTO_OAUTH_VAULT_KEY', 'ATPROTO_OAUTH_VAULT_TOKEN'])
  const own = container.env.map(({ name, value }: { name: string; value: string }) => [name, value])
  const pod = await newMachine()
  const env = { ...Object.fromEntries([...own, ...values]), PATH: pod.PATH, HOME: pod.home.path }
  const words = [...container.command, ...container.args].map((word: string) => `'${word.replaceAll("'", `'\\''`)}'`)
  const done = await runShell(`${words.join(' ')} 2>&1`, { home: pod.home, env })
  expect(done.code, done.stdout).toBe(0)
  expect(await posts(account)).toStrictEqual(['Good morning'])
  for (const [, value] of values) expect(done.stdout).not.toContain(value!.trim())
  expect(await runCli(['vault', 'check'], { home, env: { ATPROTO_OAUTH_VAULT_TOKEN: password } })).toMatchObject({
    code: 0,
  })
})

test.skipIf(lacks('jq'))('without a vault: the workflow posts and saves the next token', async () => {
  const account = await world.createAccount()
  const github = await createGithub(packageJson.version)
  const [setUp, finish] = take('Set up an environment', 2)
  const [workflow] = take('A workflow with an environment')
  const shell = async (script: string, stdin: string) => {
    const done = await github.shell(`set -eo pipefail\n${script.replace('alice.bsky.social', account.handle)}`, stdin)
    expect(done, done.stderr).toMatchObject({ code: 0 })
    return done.stdout
  }
  const callback = await signIn((await shell(setUp!.text, PERSONAL_TOKEN)).trim(), account, CONSENT)
  expect(await shell(`repo=${REPOSITORY}\n${finish!.text}`, callback)).toBe('')
  const before = await github.secrets('atproto')

  const { errors, concurrency, jobs } = await readWorkflow(workflow!.text)
  expect(errors).toStrictEqual([])
  expect(concurrency).toStrictEqual({ group: 'atproto-oauth', 'cancel-in-progress': 'false', queue: 'max' })
  const { code, log } = await github.runJob(jobs[0]!, {})
  expect(code, log).toBe(0)
  expect(await posts(account)).toStrictEqual(['It is out'])
  const after = await github.secrets('atproto')
  expect(Object.keys(after)).toStrictEqual(Object.keys(before))
  expect(after['ATPROTO_OAUTH_SESSION']).not.toBe(before['ATPROTO_OAUTH_SESSION'])
})

test.each([
  ['GitHub Actions', 4],
  ['GitLab CI', 4],
  ['Forgejo Actions', 3],
  ['cron', 1],
  ['Kubernetes', 4],
])('%s: at most four commands to type, and one secret', (heading, expected) => {
  const [block] = blocks.filter((each) => each.heading === heading)
  const lines = block!.text.replaceAll(/\\\n|\|\n/g, '').match(/^\S.*$/gm) ?? []
  expect(lines).toHaveLength(expected)
  // Forgejo has no command for it.
  const secrets = lines.filter((line) => /\b(?:secret set|variable set|create secret)\b/.test(line))
  expect(secrets).toHaveLength(/cron|Forgejo/.test(heading) ? 0 : 1)
})

test.skipIf(lacks('jq', 'redis-server'))('nothing else is there to copy, and every file is named', async () => {
  const elsewhere = blocks.filter((block) => !taken.has(block)).map(({ heading }) => heading)
  expect(elsewhere).toStrictEqual(['GitLab CI', 'Forgejo Actions', 'cron'])
  const page = await readFile(new URL('../../docs/ci.md', import.meta.url), 'utf8')
  const named = [...page.matchAll(/\]\(\.\.\/oauth-templates\/([\w.-]+)\)/g)].map(([, name]) => name!)
  expect(named.sort()).toStrictEqual([
    'crontab',
    'forgejo-actions.yml',
    'github-actions-secrets.yml',
    'github-actions.yml',
    'gitlab-ci.yml',
    'kubernetes-cronjob.yml',
  ])
})
