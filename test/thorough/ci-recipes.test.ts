/** The set-ups of docs/ci.md and the files that they name, which test/e2e/ci.test.ts leaves to this one. */
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { parse } from 'yaml'
import packageJson from '../../package.json' with { type: 'json' }
import { blockUnder, DAY, expired, follow, newMachine, posts, template, vaultOf } from '../e2e/ci-support.ts'
import { createGithub, REPOSITORY, redirectGit } from '../e2e/github.ts'
import { startGitHost } from '../support/git-host.ts'
import { startGitServer, WRITER } from '../support/git-server.ts'
import { lacks } from '../support/machine.ts'
import { readWorkflow } from '../support/workflow.ts'
import { runShell } from '../world/cli.ts'
import { connectWorld } from '../world/world.ts'

const world = connectWorld()

test.skipIf(lacks('jq'))('GitHub Actions: a matrix that starts with an expired token refreshes it once', async () => {
  const host = await startGitHost('github.com')
  onTestFinished(() => host.close())
  host.server.repository(REPOSITORY)
  const [account, github] = [await world.createAccount(), await createGithub(packageJson.version, host)]
  const { text } = await blockUnder('GitHub Actions')
  await follow(text, account, github.home, `${join(github.home.path, 'bin')}:${process.env['PATH']}`)
  const vault = await vaultOf(github.home)
  await vault.change(expired)
  const [post] = (await readWorkflow(await template('github-actions.yml'))).jobs
  const languages = post!.matrix['language']!
  const legs = languages.map((language) =>
    github.runJob(post!, { 'inputs.text': 'hello', 'matrix.language': language }),
  )
  for (const { code, log } of await Promise.all(legs)) expect(code, log).toBe(0)
  expect(await posts(account)).toStrictEqual(languages.map((language) => `hello (${language})`).sort())
  expect((await vault.session()).rotation).toBe(1)
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
  const block = await blockUnder('GitLab CI')
  await follow(block.text.replace('https://gitlab.com', server.origin), account, home, PATH)
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
  const [refreshing, ...others] = started
  for (const { code, stdout } of [await run(refreshing!), ...(await Promise.all(others.map(run)))]) {
    expect(code, stdout).toBe(0)
    for (const secret of [key, token.password]) expect(stdout).not.toContain(secret)
  }
  expect(await posts(account)).toStrictEqual(['de', 'en', 'pt'].map((each) => `it's a \`cat\` & $(id) (${each})`))
  expect((await vault.session()).rotation).toBe(1)

  const [expiry, ...more] = gitlabJobs(content, { ...onMain, CI_PIPELINE_SOURCE: 'schedule' })
  expect([expiry!.name, more]).toStrictEqual(['expiry', []])
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
  const block = await blockUnder('Forgejo Actions')
  const script = block.text.replace('https://codeberg.org', server.origin)
  const { stdout } = await follow(script, account, forge.home, `${join(forge.home.path, 'bin')}:${process.env['PATH']}`)
  expect(stdout).toMatch(/^[\w-]{43}\n$/)
  const kept = await forge.shell(`gh secret set ATPROTO_OAUTH_VAULT_KEY --repo ${REPOSITORY}`, stdout)
  expect(kept, kept.stderr).toMatchObject({ code: 0 })

  const [post, expiry] = (await readWorkflow(await template('forgejo-actions.yml'))).jobs
  const vault = await vaultOf(forge.home)
  await vault.change(expired)
  const languages = post!.matrix['language']!
  const given = { 'github.server_url': server.origin, 'inputs.text': "it's a `cat` & $(id)" }
  const run = (language: string) => forge.runJob(post!, { ...given, 'matrix.language': language })
  const [refreshing, ...others] = languages
  for (const { code, log } of [await run(refreshing!), ...(await Promise.all(others.map(run)))])
    expect(code, log).toBe(0)
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
  await follow((await blockUnder('cron')).text, account, home, PATH)

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
