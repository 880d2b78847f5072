import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { readWorkflow } from '../support/workflow.ts'

const read = (path: string) => readFileSync(path, 'utf8')
const FOLDER = '.github/workflows'
const TEMPLATES = ['github-actions.yml', 'github-actions-secrets.yml'].map((name) => `oauth-templates/${name}`)
const paths = [...readdirSync(FOLDER).map((name) => `${FOLDER}/${name}`), ...TEMPLATES]

describe.each(paths)('%s', async (path) => {
  const content = read(path)
  const { errors, permissions, shell, jobs } = await readWorkflow(content)
  const steps = jobs.flatMap((job) => job.steps)

  test('has no error that GitHub’s own parser finds', () => {
    expect(errors).toStrictEqual([])
    expect(jobs.length).toBeGreaterThan(0)
  })

  test('may read the repository at most, except in jobs that say what they write', () => {
    expect([{}, { contents: 'read' }]).toContainEqual(permissions)
  })

  test('pins each action by its commit, and names its version', () => {
    for (const [, uses] of content.matchAll(/^ *(?:- )?uses: (.*)$/gm))
      expect(uses).toMatch(/^(?:\.\/\.github\/workflows\/[\w-]+\.yml|[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+)$/)
  })

  test('pastes no expression into a script, and ends a script at its first failure', () => {
    expect(shell).toBe('bash')
    for (const { run } of steps) expect(run ?? '').not.toContain('${{')
  })

  test('gives each job of its own a time limit', () => {
    const limits = content.match(/^ {4}timeout-minutes: \d+$/gm) ?? []
    expect(limits.length).toBe(jobs.filter(({ uses }) => uses === undefined).length)
  })
})

test('one commit of an action in all workflows', () => {
  const pins = paths.flatMap((path) => [...read(path).matchAll(/uses: ([\w./-]+)@([0-9a-f]{40} # \S+)/g)])
  const commits = new Set(pins.map(([, action, commit]) => `${action} ${commit}`))
  expect(commits.size).toBe(new Set(pins.map(([, action]) => action)).size)
})

test('the test workflow runs .ci/run, and no failure on Linux is ignored', async () => {
  const { jobs } = await readWorkflow(read(`${FOLDER}/test.yml`))
  const [all, ...others] = jobs
  expect(all?.steps.map(({ run }) => run)).toContain('.ci/run')
  expect(all?.continueOnError).toBeUndefined()
  expect(others.map(({ matrix }) => matrix['os'])).toStrictEqual([['windows-latest', 'macos-latest']])
})

describe('the release workflow', async () => {
  const { jobs } = await readWorkflow(read(`${FOLDER}/release.yml`))
  const job = (id: string) => jobs.find((each) => each.id === id)!

  test('publishes after the whole suite and the check of the tarball', () => {
    expect(job('test').uses).toBe('./.github/workflows/test.yml')
    expect(job('publish').needs).toStrictEqual(['test', 'pack'])
    expect(job('attach').needs).toStrictEqual(['publish'])
  })

  test('runs none of the project’s code, nor of its packages, in a job that may write', () => {
    const writing = jobs.filter(({ permissions }) => permissions !== undefined)
    expect(writing.map(({ id, permissions }) => [id, permissions])).toStrictEqual([
      ['publish', { 'id-token': 'write' }],
      ['attach', { contents: 'write' }],
    ])
    for (const { steps } of writing) {
      for (const { uses, run } of steps) {
        expect(uses ?? '').not.toContain('checkout')
        expect(run ?? '').not.toMatch(/\bnpm (?:ci|install|i|run|test|exec)\b|\bnpx\b|\bnode /)
      }
    }
  })

  test('publishes with provenance and without a token', () => {
    expect(job('publish').environment).toBe('npm')
    expect(job('publish').steps.at(-1)?.run).toMatch(/npm publish .*--provenance --access public/)
    expect(read(`${FOLDER}/release.yml`)).not.toMatch(/NPM_TOKEN|NODE_AUTH_TOKEN|secrets\./)
  })

  describe('checks before anything is packed', () => {
    const script = job('pack').steps.find(({ name }) => name.startsWith('Check the tag'))!.run!
    const changelog = '# Changelog\n\n### 1.2.0 (2026-12-01)\n\n- New.\n\n### 1.1.0 (2026-11-01)\n\n- Old.\n'
    const check = async (tag: string, changes: string, repository?: object) => {
      const folder = await mkdtemp(join(tmpdir(), 'atproto-oauth-release-'))
      try {
        await writeFile(join(folder, 'package.json'), JSON.stringify({ version: tag.slice(1), repository }))
        await writeFile(join(folder, 'CHANGELOG.md'), changes)
        const github = { GITHUB_SERVER_URL: 'https://github.com', GITHUB_REPOSITORY: 'alice/cli', GITHUB_REF_NAME: tag }
        const options = { cwd: folder, env: { ...process.env, ...github }, encoding: 'utf8' } as const
        const { status, stdout } = spawnSync('bash', ['-eo', 'pipefail', '-c', script], options)
        return { status, stdout, notes: await readFile(join(folder, 'release/notes.md'), 'utf8') }
      } finally {
        await rm(folder, { recursive: true })
      }
    }
    const repository = { type: 'git', url: 'git+https://github.com/alice/cli.git' }

    test('that the version has a section of the changelog, which becomes the release notes', async () => {
      expect(await check('v1.2.0', changelog, repository)).toStrictEqual({
        status: 0,
        stdout: '',
        notes: '\n- New.\n\n',
      })
      expect(await check('v1.1.0', changelog, repository)).toMatchObject({ status: 0, notes: '\n- Old.\n' })
      expect(await check('v1.3.0', changelog, repository)).toMatchObject({ status: 1, notes: '' })
      const unreleased = changelog.replace('2026-12-01', 'unreleased')
      expect((await check('v1.2.0', unreleased, repository)).stdout).toMatch(/^::error file=CHANGELOG\.md::/)
    })

    test.each([undefined, { type: 'git', url: 'git+https://github.com/mallory/cli.git' }])(
      'that the repository is this one, not %j',
      async (other) => {
        const { status, stdout } = await check('v1.2.0', changelog, other)
        expect(status).toBe(1)
        expect(stdout).toMatch(/^::error file=package\.json::repository\.url is /)
      },
    )
  })
})
