/**
 * docs/ci.md and the files in oauth-templates/ that it names: set up by the commands as they stand there, then run step by
 * step as a runner does, against a git server or Redis, and the real PDS.
 */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { parse } from 'yaml'
import packageJson from '../../package.json' with { type: 'json' }
import type { SessionRecord } from '../../src/model.ts'
import { connectEngine } from '../../src/node/vault/connect.ts'
import { readContents } from '../../src/node/vault/inspect.ts'
import { seal } from '../../src/node/vault/record.ts'
import { type Block, blocksToRun } from '../support/blocks.ts'
import { type GitHost, startGitHost } from '../support/git-host.ts'
import { startGitServer, WRITER } from '../support/git-server.ts'
import { HANG_MS, lacks } from '../support/machine.ts'
import { startRedisServer } from '../support/redis-server.ts'
import { readWorkflow } from '../support/workflow.ts'
import { type CliResult, type Home, runCli, runShell } from '../world/cli.ts'
import { signIn } from '../world/person.ts'
import { type Account, connectWorld } from '../world/world.ts'
import { createGithub, type Github, npxProgram, PERSONAL_TOKEN, REPOSITORY, redirectGit } from './github.ts'
import { CONSENT, newHome } from './support.ts'

const DAY = 24 * 3600 * 1000
const world = connectWorld()
const blocks = (await blocksToRun()).filter(({ page }) => page === 'docs/ci.md')
const taken = new Set<Block>()

function take(heading: string, count = 1): Block[] {
  const found = blocks.filter((block) => block.heading === heading)
  expect(found).toHaveLength(count)
  for (const block of found) taken.add(block)
  return found
}

const template = (name: string) => readFile(new URL(`../../oauth-templates/${name}`, import.meta.url), 'utf8')

/** The home of a machine on which these programs are installed, and `npx`. */
async function newMachine(programs: Readonly<Record<string, string>> = {}): Promise<{ home: Home; PATH: string }> {
  const home = await newHome()
  const bin = join(home.path, 'bin')
  await install(bin, { npx: npxProgram(packageJson.version), ...programs })
  return { home, PATH: `${bin}:${process.env['PATH']}` }
}

async function install(bin: string, programs: Readonly<Record<string, string>>): Promise<void> {
  await mkdir(bin, { recursive: true })
  for (const [name, script] of Object.entries(programs)) await writeFile(join(bin, name), script, { mode: 0o755 })
}

/** Runs commands as a person does who sits there: `login` opens the browser, in which they sign in. */
async function follow(script: string, account: Account, home: Home, PATH: string, stdin = ''): Promise<CliResult> {
  const opened = join(home.path, 'opened')
  await install(join(home.path, 'bin'), {
    'xdg-open': `#!/bin/sh\nprintf %s "$1" > '${opened}.new' && mv '${opened}.new' '${opened}'\n`,
  })
  const lines = `set -eo pipefail\n${script.replaceAll('alice.bsky.social', account.handle)}`
  const done = runShell(lines, { home, env: { PATH, DISPLAY: ':0' }, stdin })
  const signedIn = vi
    .waitFor(() => readFile(opened, 'utf8'), { timeout: HANG_MS })
    .then((url) => signIn(url, account, CONSENT))
    .then((callback) => fetch(callback))
  signedIn.catch(() => undefined)
  if (script.includes('atproto-oauth login')) await Promise.race([done, signedIn])
  const result = await done
  expect(result, result.stderr).toMatchObject({ code: 0 })
  return result
}

async function posts({ did }: Account): Promise<string[]> {
  const query = new URLSearchParams({ repo: did, collection: 'app.bsky.feed.post' })
  const response = await fetch(`${world.pdsUrl}/xrpc/com.atproto.repo.listRecords?${query}`)
  const { records } = (await response.json()) as { records: { value: { text: string } }[] }
  return records.map(({ value }) => value.text).sort()
}

/** The vault that a machine has. */
async function vaultOf(home: Home) {
  const known = JSON.parse(await readFile(join(home.state, 'vault.json'), 'utf8'))
  const { address, key } = known.vaults[0]
  const environment = { PATH: process.env['PATH'], HOME: home.path }
  const engine = await connectEngine(address, { environment, cache: join(home.path, 'cache') })
  const read = async () => {
    const { keys, sessions } = await readContents(engine, key)
    return { keys, only: sessions[0]! }
  }
  return {
    key: key as string,
    session: async () => (await read()).only.record.session,
    /** As if time had passed, for whoever reads the vault. */
    async change(edit: (session: SessionRecord) => Partial<SessionRecord>) {
      const { keys, only } = await read()
      const session = { ...only.record.session, ...edit(only.record.session) }
      const { name, text } = await seal({ ...only.record, session }, keys)
      expect(await engine.swap(name, only.text, text)).toBe('won')
    },
  }
}

const expired = () => ({ accessTokenExpiresAt: Date.now() - 1000 })

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

    const after = await Promise.all(languages.map((language) => run(language)))
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

interface GitlabJob {
  readonly rules: readonly { if: string }[]
  readonly script: readonly string[]
  readonly parallel?: { readonly matrix: readonly Readonly<Record<string, string[]>>[] }
}

/** What GitLab makes of a file: the jobs whose rules hold, one for each value of a matrix. */
function gitlabJobs(content: string, given: Readonly<Record<string, string>>) {
  const {
    workflow,
    default: _,
    variables,
    ...jobs
  } = parse(content) as {
    workflow: { rules: { if: string }[] }
    default: unknown
    variables: Record<string, string>
  }
  const all: Record<string, string> = { ...given }
  const expand = (text: string) => text.replace(/\$(\w+)/g, (_, name) => all[name] ?? '')
  for (const [name, text] of Object.entries(variables)) all[name] = expand(text)
  const holds = ({ if: condition }: { if: string }) => {
    const [, name, value] = /^\$(\w+)(?: == "(.*)")?$/.exec(condition)!
    return value === undefined ? (all[name!] ?? '') !== '' : all[name!] === value
  }
  if (!workflow.rules.some(holds)) return []
  return Object.entries(jobs as Record<string, GitlabJob>)
    .filter(([, { rules }]) => rules.some(holds))
    .flatMap(([name, { script, parallel }]) => {
      const matrix: [string, string[]][] = Object.entries(parallel?.matrix[0] ?? {})
      const legs = matrix.length === 0 ? [{}] : matrix[0]![1].map((value) => ({ [matrix[0]![0]]: value }))
      return legs.map((leg) => ({ name, script: script.join('\n'), env: { ...all, ...leg } }))
    })
}

test('GitLab CI: a job token, and a variable that is masked and protected', async () => {
  const token = { user: 'gitlab-ci-token', password: 'canary-0123456789.of.a-job' }
  const server = await startGitServer(token)
  onTestFinished(() => server.close())
  const repository = server.repository(REPOSITORY)
  const account = await world.createAccount()
  const glab = `#!/bin/sh\ncase "$1" in variable) shift 2; echo "$*" > ../glab; cat > ../"$1" ;; *) echo "$*" >> ../glab ;; esac\n`
  const { home, PATH } = await newMachine({ glab: glab.replaceAll('../', '"$HOME"/glab-') })
  const helper = `"!f() { echo username=${WRITER.user}; echo password=${WRITER.password}; }; f"`
  await writeFile(join(home.path, '.gitconfig'), `[credential]\n  helper = ${helper}\n`)
  const [block] = take('GitLab CI')
  await follow(block!.text.replace('https://gitlab.com', server.origin), account, home, PATH)
  const key = await readFile(join(home.path, 'glab-ATPROTO_OAUTH_VAULT_KEY'), 'utf8')
  expect(key).toMatch(/^[\w-]{43}$/)
  expect(await readFile(join(home.path, 'glab-glab'), 'utf8')).toBe(
    'ATPROTO_OAUTH_VAULT_KEY --masked --protected --repo alice/bot\n' +
      'api --method PUT projects/alice%2Fbot --field ci_push_repository_for_job_token_allowed=true\n',
  )

  const content = await template('gitlab-ci.yml')
  const given = { CI: 'true', GITLAB_CI: 'true', CI_PROJECT_URL: server.url(REPOSITORY), CI_JOB_TOKEN: token.password }
  const onMain = { ...given, CI_COMMIT_REF_PROTECTED: 'true', ATPROTO_OAUTH_VAULT_KEY: key }
  const run = async ({ script, env }: ReturnType<typeof gitlabJobs>[0]) => {
    const machine = await newMachine()
    await writeFile(join(machine.home.path, 'script'), `set -eo pipefail\n${script}\n`)
    return runShell('bash script 2>&1', { home: machine.home, env: { ...env, PATH: machine.PATH } })
  }
  expect(gitlabJobs(content, { ...given, TEXT: 'of a branch' })).toStrictEqual([])
  const started = gitlabJobs(content, { ...onMain, TEXT: "it's a `cat` & $(id)" })
  expect(started.map(({ name }) => name)).toStrictEqual(['post', 'post', 'post'])
  const vault = await vaultOf(home)
  await vault.change(expired)
  for (const { code, stdout } of await Promise.all(started.map(run))) {
    expect(code, stdout).toBe(0)
    for (const secret of [key, token.password]) expect(stdout).not.toContain(secret)
  }
  expect(await posts(account)).toStrictEqual(['de', 'en', 'pt'].map((each) => `it's a \`cat\` & $(id) (${each})`))
  expect((await vault.session()).rotation).toBe(1)

  const [expiry, ...others] = gitlabJobs(content, { ...onMain, CI_PIPELINE_SOURCE: 'schedule' })
  expect([expiry!.name, others]).toStrictEqual(['expiry', []])
  expect(await run(expiry!)).toMatchObject({ code: 0 })
  await vault.change(({ createdAt }) => ({ createdAt: createdAt! - 10 * DAY }))
  expect(await run(expiry!)).toMatchObject({ code: 11 })

  // Where the project does not allow its jobs to push.
  await vault.change(expired)
  repository.refusePushes(['GitLab: You are not allowed to push code to this project.'])
  const refused = await run(started[0]!)
  expect(refused).toMatchObject({ code: 4, stdout: expect.stringContaining('[VAULT_REFUSED]') })
  expect((await vault.session()).rotation).toBe(1)
})

test('Forgejo Actions: the automatic token', async () => {
  const server = await startGitServer()
  onTestFinished(() => server.close())
  server.repository(REPOSITORY)
  const [account, forge] = [await world.createAccount(), await createGithub(packageJson.version)]
  const helper = `"!f() { echo username=${WRITER.user}; echo password=${WRITER.password}; }; f"`
  await writeFile(join(forge.home.path, '.gitconfig'), `[credential]\n  helper = ${helper}\n`)
  const [block] = take('Forgejo Actions')
  const script = block!.text.replace('https://codeberg.org', server.origin)
  const { stdout } = await follow(script, account, forge.home, `${join(forge.home.path, 'bin')}:${process.env['PATH']}`)
  expect(stdout).toMatch(/^[\w-]{43}\n$/)
  const kept = await forge.shell(`gh secret set ATPROTO_OAUTH_VAULT_KEY --repo ${REPOSITORY}`, stdout)
  expect(kept, kept.stderr).toMatchObject({ code: 0 })

  const [post, expiry] = (await readWorkflow(await template('forgejo-actions.yml'))).jobs
  const vault = await vaultOf(forge.home)
  await vault.change(expired)
  const languages = post!.matrix['language']!
  const given = { 'github.server_url': server.origin, 'inputs.text': "it's a `cat` & $(id)" }
  const legs = languages.map((language) => forge.runJob(post!, { ...given, 'matrix.language': language }))
  for (const { code, log } of await Promise.all(legs)) expect(code, log).toBe(0)
  expect(await posts(account)).toStrictEqual(languages.map((each) => `it's a \`cat\` & $(id) (${each})`).sort())
  expect((await vault.session()).rotation).toBe(1)
  expect(await forge.runJob(expiry!, given)).toMatchObject({ code: 0 })
  await vault.change(({ createdAt }) => ({ createdAt: createdAt! - 10 * DAY }))
  expect(await forge.runJob(expiry!, given)).toMatchObject({ code: 11 })
})

test('cron: a second machine, and lines as cron reads them', async () => {
  const server = await startGitServer()
  onTestFinished(() => server.close())
  const remote = server.repository(REPOSITORY).folder
  const [account, laptop] = [await world.createAccount(), await newMachine()]
  await redirectGit(laptop.home, remote)
  const setUp =
    'npx atproto-oauth vault new git:git@github.com:alice/bot >&2\nnpx atproto-oauth login alice.bsky.social --for post --save vault'
  await follow(setUp, account, laptop.home, laptop.PATH)

  const ssh = `#!/bin/sh\nshift\nHOME='${laptop.home.path}' ATPROTO_OAUTH_HOME='${laptop.home.state}' exec "$@"\n`
  const { home, PATH } = await newMachine({ ssh })
  await redirectGit(home, remote)
  await follow(take('cron')[0]!.text, account, home, PATH)

  const lines = (await template('crontab')).split('\n').filter((line) => /^[\d*]/.test(line))
  const [post, expiry] = lines.map((line) => /^(?:[\d*/,-]+ ){5}(.*)$/.exec(line)![1]!)
  // An unescaped percent sign ends the command.
  for (const command of [post, expiry]) expect(command).not.toMatch(/(?<!\\)%/)
  const run = async (command: string) => {
    const env = { PATH, COMMAND: command.replaceAll('\\%', '%') }
    const { code, stdout } = await runShell('sh -c "$COMMAND" 2>&1', { home, env })
    return { code, mailed: stdout.replaceAll(/^.* development mode: .*\n/gm, '') }
  }
  const vault = await vaultOf(laptop.home)
  await vault.change(expired)
  expect(await run(post!)).toStrictEqual({ code: 0, mailed: '' })
  expect(await posts(account)).toStrictEqual(['Good morning'])
  expect((await vault.session()).rotation).toBe(1)
  expect(await run(expiry!)).toStrictEqual({ code: 0, mailed: '' })
  await vault.change(({ createdAt }) => ({ createdAt: createdAt! - 10 * DAY }))
  await rm(join(home.state, 'vaults'), { recursive: true }) // its copy of the session, which does not know
  expect((await run(expiry!)).mailed).toContain('The atproto session has ended or ends soon.')
})

test.skipIf(lacks('redis-server'))('Kubernetes: a Secret with the key and the password of Redis', async () => {
  const password = 'canary/3f9a'
  const server = await startRedisServer(['--requirepass', password])
  onTestFinished(() => server.close())
  const address = `redis://127.0.0.1:${server.port}`
  const account = await world.createAccount()
  const kubectl = `#!/bin/bash
set -eu
echo "$1 $2" >> "$HOME/kubectl"
[ "$1" = create ] || exit 0
mkdir "$HOME/secret-$4"
for option in "\${@:5}"; do
  [[ $option =~ ^--from-file=([A-Z_]+)=(.*)$ ]]
  cat "\${BASH_REMATCH[2]}" > "$HOME/secret-$4/\${BASH_REMATCH[1]}"
done
`
  const { home, PATH } = await newMachine({ kubectl })
  const [block] = take('Kubernetes')
  const script = block!.text.replace('rediss://redis.example.com', address)
  await follow(script, account, home, PATH, `${password}\n`)
  expect(await readFile(join(home.path, 'kubectl'), 'utf8')).toBe('create secret\napply -f\n')

  const content = (await template('kubernetes-cronjob.yml')).replace('rediss://redis.example.com', address)
  const { spec } = parse(content)
  expect(spec.jobTemplate.spec.backoffLimit).toBe(0)
  const [container] = spec.jobTemplate.spec.template.spec.containers
  const secret = container.envFrom[0].secretRef.name
  const names = ['ATPROTO_OAUTH_VAULT_KEY', 'ATPROTO_OAUTH_VAULT_TOKEN']
  const values = names.map(async (name) => [name, await readFile(join(home.path, `secret-${secret}`, name), 'utf8')])
  const own = container.env.map(({ name, value }: { name: string; value: string }) => [name, value])
  const pod = await newMachine()
  const env = { ...Object.fromEntries([...own, ...(await Promise.all(values))]), PATH: pod.PATH, HOME: pod.home.path }
  const words = [...container.command, ...container.args].map((word: string) => `'${word.replaceAll("'", `'\\''`)}'`)
  const done = await runShell(`${words.join(' ')} 2>&1`, { home: pod.home, env })
  expect(done.code, done.stdout).toBe(0)
  expect(await posts(account)).toStrictEqual(['Good morning'])
  const [key] = await Promise.all(names.map((name) => readFile(join(home.path, `secret-${secret}`, name), 'utf8')))
  for (const each of [password, key!.trim()]) expect(done.stdout).not.toContain(each)
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

test.skipIf(lacks('jq', 'redis-server'))('nothing else is there to copy, and every file is named', async () => {
  expect(blocks.filter((block) => !taken.has(block))).toStrictEqual([])
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
