/**
 * GitHub as far as a workflow sees it: a `gh` that keeps secrets and issues, an `npx` that finds the built CLI, and a
 * runner that goes through the steps of a job.
 */
import { chmod, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parse } from 'dotenv'
import type { GitHost } from '../support/git-host.ts'
import { READER, WRITER } from '../support/git-server.ts'
import { masked, readByRunner } from '../support/runner-files.ts'
import type { Job } from '../support/workflow.ts'
import { type CliResult, type Home, LAUNCHER, runShell } from '../world/cli.ts'
import { newHome } from './support.ts'

export const REPOSITORY = 'alice/bot'
/** The person's own, which may write secrets; the job's `GITHUB_TOKEN` may not. */
export const PERSONAL_TOKEN = 'github_pat_of-alice'
const JOB_TOKENS = { write: WRITER.password, read: READER.password }
const NODE = process.env['ATPROTO_OAUTH_TEST_NODE'] ?? process.execPath

/** Without GH_TOKEN it is somebody who is signed in. Each secret is a file, the newest with the highest number. */
const GH = `#!/bin/bash
set -eu
here=$PWD
cd "$(dirname "$0")/.."
refuse() { echo "gh: $1" >&2; exit 1; }
is_job() { [[ $token =~ ^(${Object.values(JOB_TOKENS).join('|')})$ ]]; }
token=\${GH_TOKEN-${PERSONAL_TOKEN}} command="$1 $2" file= name=
shift 2
case "$command" in
  'api --silent')
    [ "$1 $2" = '-X PUT' ] || refuse 'not known here'
    mkdir -p "environments/$(basename "$3")" ;;
  'secret set')
    folder=secrets
    while [ $# -gt 0 ]; do
      case "$1" in
        --env) folder=environments/$2; shift 2 ;;
        --repo) repository=$2; shift 2 ;;
        -f | --env-file) file=$2; shift 2 ;;
        *) name=$1; shift ;;
      esac
    done
    [[ $token = github_pat_* ]] || refuse 'HTTP 403: Resource not accessible by integration'
    [ "$repository" = '${REPOSITORY}' ] && cd "$folder" || refuse 'HTTP 404: Not Found'
    [ -z "$file" ] || name=.env
    case "$file" in '' | -) ;; *) exec < "$here/$file" ;; esac
    cat > "$(printf %03d "$(ls | wc -l)").$name" ;;
  'workflow run') echo "$*" >> dispatched ;;
  'issue list') is_job && touch issues && wc -l < issues ;;
  'issue create') is_job && [ "$1" = --title ] && echo "$2" >> issues ;;
  *) refuse 'not known here' ;;
esac
`

/** `npx` with the built CLI, for this version only. */
export const npxProgram = (version: string) => `#!/bin/sh
[ "$1" = --yes ] && shift
case "$1" in atproto-oauth | 'atproto-oauth@${version}') ;; *) exit 127 ;; esac
shift
exec '${NODE}' '${LAUNCHER}' "$@"
`

/** Where a job names its permissions, it has no others. */
function tokenOf({ permissions }: Job): string {
  const given = permissions as { contents?: string } | undefined
  return JOB_TOKENS[given === undefined || given.contents === 'write' ? 'write' : 'read']
}

/** What actions/checkout does: it leaves a header with the job's token in the configuration of the repository. */
const CHECKOUT = `git init --quiet .
git remote add origin https://github.com/${REPOSITORY}
git config --local http.https://github.com/.extraheader "AUTHORIZATION: basic $(printf '${WRITER.user}:%s' "$TOKEN" | base64 -w0)"
git fetch --quiet --depth=1 origin main
git checkout --quiet FETCH_HEAD
`

export interface Github {
  /** Of the person. */
  readonly home: Home
  /** The person's shell, which has `gh` and `npx`. */
  shell(script: string, stdin?: string): Promise<CliResult>
  /** Without an environment, those of the repository. */
  secrets(environment?: string): Promise<Record<string, string>>
  setSecret(environment: string, name: string, value: string): Promise<void>
  issues(): Promise<string[]>
  /** The arguments of each `gh workflow run`. */
  dispatched(): Promise<string[]>
  /** The secrets of its environment are those of now, when it starts. */
  runJob(job: Job, values: Values): Promise<JobResult>
}

/** What the expressions of a job stand for; one that is not here is a mistake in the test or in the job. */
export type Values = Readonly<Record<string, string>>

export interface JobResult {
  readonly code: number
  /** As GitHub shows it. */
  readonly log: string
  /** As the steps wrote it. */
  readonly raw: string
}

/** To this git, the repository at github.com is another one, by https and by ssh. */
export async function redirectGit(home: Home, remote: string): Promise<void> {
  const names = ['https://github.com/', 'git@github.com:'].map((host) => `  insteadOf = ${host}${REPOSITORY}\n`)
  await writeFile(join(home.path, '.gitconfig'), `[url "${remote}"]\n${names.join('')}`)
}

/** @param remote a git repository that stands for the one at github.com, or the host with all of them */
export async function createGithub(version: string, remote?: string | GitHost): Promise<Github> {
  const person = await newHome()
  const configureGit = async (home: Home, hasLogin: boolean) => {
    if (typeof remote === 'string') await redirectGit(home, remote)
    else await remote?.configure(home, hasLogin)
  }
  await configureGit(person, true)
  const bin = join(person.path, 'bin')
  const environments = join(person.path, 'environments')
  const ofRepository = join(person.path, 'secrets')
  await Promise.all([bin, environments, ofRepository].map((folder) => mkdir(folder)))
  for (const [name, script] of Object.entries({ gh: GH, npx: npxProgram(version) })) {
    await writeFile(join(bin, name), script)
    await chmod(join(bin, name), 0o755)
  }
  const path = { PATH: `${bin}:${process.env['PATH']}` }

  const lines = async (file: string) =>
    (await readFile(join(person.path, file), 'utf8').catch(() => '')).split('\n').slice(0, -1)

  const secrets = async (environment?: string) => {
    const folder = environment === undefined ? ofRepository : join(environments, environment)
    const all: Record<string, string> = {}
    for (const file of (await readdir(folder)).sort()) {
      const text = await readFile(join(folder, file), 'utf8')
      const name = file.slice('000.'.length)
      Object.assign(all, name === '.env' ? parse(text) : { [name]: text.replace(/[\r\n]+$/, '') })
    }
    return all
  }

  const runStep = async (script: string, home: Home, env: Record<string, string>) => {
    const files = { GITHUB_ENV: join(home.path, 'env'), GITHUB_OUTPUT: join(home.path, 'output') }
    for (const file of Object.values(files)) await writeFile(file, '')
    await writeFile(join(home.path, 'step.sh'), script)
    const runner = { CI: 'true', GITHUB_ACTIONS: 'true', GITHUB_REPOSITORY: REPOSITORY, ...files, ...path }
    // What `shell: bash` is there; both streams go into one log.
    const shell = 'bash --noprofile --norc -e -o pipefail step.sh 2>&1'
    const { code, stdout } = await runShell(shell, { home, env: { ...env, ...runner } })
    return { code: code ?? 1, stdout, env: readByRunner(await readFile(files.GITHUB_ENV, 'utf8')) }
  }

  return {
    home: person,
    secrets,
    shell: (script, stdin) => runShell(script, { home: person, env: path, stdin }),
    setSecret: async (environment, name, value) => {
      const folder = join(environments, environment)
      await mkdir(folder, { recursive: true })
      const next = String((await readdir(folder)).length).padStart(3, '0')
      await writeFile(join(folder, `${next}.${name}`), value)
    },
    issues: () => lines('issues'),
    dispatched: () => lines('dispatched'),
    async runJob(job, values) {
      const home = await newHome()
      await configureGit(home, false)
      const ofEnvironment = job.environment === undefined ? {} : await secrets(job.environment)
      const there: Readonly<Record<string, string>> = { ...(await secrets()), ...ofEnvironment }
      const token = tokenOf(job)
      const masks = [token, ...Object.values(there)]
      const known: Values = { 'github.repository': REPOSITORY, 'github.token': token, ...values }
      const result = (expression: string) => {
        const secret = /^secrets\.(\w+)$/.exec(expression)?.[1]
        const value = secret === undefined ? known[expression] : (there[secret] ?? '')
        if (value === undefined) throw new Error(`no value for ${expression}`)
        return value
      }
      const resolved = (text: string) => text.replace(/\$\{\{ (.*?) \}\}/g, (_, expression) => result(expression))
      let env: Record<string, string> = {}
      let raw = ''
      let code = 0
      for (const step of job.steps) {
        const script = step.uses?.startsWith('actions/checkout@') ? CHECKOUT : step.run
        if (script === undefined || code !== 0 || (step.if !== '' && result(step.if) !== 'true')) continue
        const own = Object.entries(step.env).map(([name, text]) => [name, resolved(text)])
        const checkout = script === CHECKOUT && { TOKEN: token }
        const done = await runStep(resolved(script), home, { ...env, ...Object.fromEntries(own), ...checkout })
        env = { ...env, ...done.env }
        code = done.code
        raw += done.stdout
        masks.push(...masked(done.stdout))
      }
      const shown = raw.replace(/^::add-mask::.*\n/gm, '')
      return { code, raw, log: masks.filter(Boolean).reduce((text, mask) => text.replaceAll(mask, '***'), shown) }
    },
  }
}
