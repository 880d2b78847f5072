/** The git engine: what it writes, what it leaves alone, and what it says when it cannot. */
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { parseVaultAddress } from '../../../src/node/vault/address.ts'
import { createGitEngine, type GitEngineOptions, vaultToken } from '../../../src/node/vault/git.ts'
import { failure } from '../../support/failure.ts'
import { GitRepository, git, READER, startGitServer, WRITER } from '../../support/git-server.ts'
import { hasTinyDisk, onTinyDisk, shown, startNode, tempFolder } from '../helpers.ts'

const A = 'a'.repeat(40)
const B = 'b'.repeat(40)

async function openEngine(url: string, options: Partial<GitEngineOptions> = {}) {
  return createGitEngine(await parseVaultAddress(`git:${url}`), { cache: await tempFolder(), ...options })
}

async function openRepository(format?: 'sha256'): Promise<GitRepository> {
  return new GitRepository(join(await tempFolder(), 'vault.git'), format)
}

async function openServer() {
  const server = await startGitServer()
  onTestFinished(() => server.close())
  return { server, repository: server.repository() }
}

/** A git that writes down its arguments, and then is git. */
async function spyOnGit(script = ''): Promise<{ environment: NodeJS.ProcessEnv; log: () => string }> {
  const folder = await tempFolder()
  const log = join(folder, 'log')
  writeFileSync(
    join(folder, 'git'),
    `#!/bin/sh\nprintf '%s\\n' "$@" >> '${log}'\n${script}\nPATH='${process.env['PATH']}' exec git "$@"\n`,
  )
  chmodSync(join(folder, 'git'), 0o755)
  return {
    environment: { ...process.env, PATH: [folder, process.env['PATH']].join(delimiter) },
    log: () => readFileSync(log, 'utf8'),
  }
}

describe('what is in the branch', () => {
  test('a README, the vault and its records; one commit for each change, and history stays', async () => {
    const repository = await openRepository()
    const engine = await openEngine(repository.folder)
    expect(engine.address).toBe(`git:${repository.folder}`)
    await engine.swap('vault', undefined, 'keys')
    await engine.swap(A, undefined, 'one')
    await engine.swap(A, 'one', 'two')
    const tip = repository.tip()!
    expect(repository.git(['ls-tree', '-r', '--name-only', tip])).toBe(`README.md\nrecords/${A}\nvault`)
    expect(repository.git(['cat-file', 'blob', `${tip}:records/${A}`])).toBe('two')
    expect(repository.git(['log', '--format=%an %ae %cn %ad %s', '--date=iso-strict', tip])).toBe(
      Array(3)
        .fill(
          'atproto-oauth atproto-oauth@localhost atproto-oauth 2000-01-01T00:00:00+00:00 Update the vault [skip ci]',
        )
        .join('\n'),
    )
    const readme = repository.git(['cat-file', 'blob', `${tip}:README.md`])
    expect(readme).toContain('Do not edit this branch')
    expect(readme).not.toContain(repository.folder)
    expect(repository.git(['fsck', '--strict'])).toBe('')
  })

  test('another branch, beside what the repository has already', async () => {
    const repository = await openRepository()
    repository.commit({ 'index.html': 'site' }, 'main')
    repository.commit({ 'index.html': 'site' }, 'atproto-oauth')
    repository.git(['tag', 'v1', 'main'])
    const before = repository.refs()
    const engine = await openEngine(`${repository.folder}#vaults/mine`)
    await engine.swap(A, undefined, 'one')
    expect(await engine.read(A)).toBe('one')
    expect(repository.refs().replace(/refs\/heads\/vaults\/mine .*\n?/, '')).toBe(before)
    await engine.destroy()
    expect(repository.refs()).toBe(before)
  })

  test('a repository whose objects are named by SHA-256', async () => {
    const repository = await openRepository('sha256')
    const engine = await openEngine(repository.folder)
    expect(await engine.swap(A, undefined, 'one')).toBe('won')
    expect(await engine.swap(A, 'one', 'two')).toBe('won')
    expect(await (await openEngine(repository.folder)).read(A)).toBe('two')
    expect(repository.tip()).toHaveLength(64)
  })

  test('commits of another account in between are ordinary changes', async () => {
    const repository = await openRepository()
    const engine = await openEngine(repository.folder)
    await engine.swap(A, undefined, 'one')
    repository.commit({ vault: 'theirs' })
    expect(await engine.swap(A, 'one', 'two')).toBe('won')
    expect(await engine.list()).toStrictEqual(
      new Map([
        [A, 'two'],
        ['vault', 'theirs'],
      ]),
    )
  })

  test('rebuilt on a root commit after the branch was deleted, with another one in its place', async () => {
    const repository = await openRepository()
    const engine = await openEngine(repository.folder)
    const other = await openEngine(repository.folder)
    await engine.swap(A, undefined, 'one')
    expect(await other.read(A)).toBe('one')
    repository.setTip(undefined)
    expect(await other.swap(B, undefined, 'new')).toBe('won')
    expect(repository.git(['rev-list', '--count', repository.tip()!])).toBe('1')
    expect(await engine.swap(A, undefined, 'again')).toBe('won')
    expect(await other.list()).toStrictEqual(
      new Map([
        [A, 'again'],
        [B, 'new'],
      ]),
    )
  })
})

describe('a branch with something else in it is left alone', () => {
  test('every kind of it', async () => {
    const repository = await openRepository()
    const engine = await openEngine(repository.folder)
    await engine.swap('vault', undefined, 'keys')
    const ours = repository.tip()
    const blob = repository.git(['hash-object', '-w', '--stdin'], '/etc/passwd')
    const folder = (name: string, mode = '100644') => ({
      entry: `040000 tree ${repository.git(['mktree'], `${mode} blob ${blob}\t${name}\n`)}`,
    })
    const changes = {
      'another file': { 'index.html': 'site' },
      'a README of somebody': { 'README.md': '# my project' },
      'no README': { 'README.md': undefined },
      'a symbolic link': { vault: { entry: `120000 blob ${blob}` } },
      'a program': { vault: { entry: `100755 blob ${blob}` } },
      'a submodule': { vault: { entry: `160000 commit ${A}` } },
      'a folder': { vault: folder(A) },
      'a record with another name': { records: folder('x.txt') },
      'a record that is a link': { records: folder(A, '120000') },
    }
    for (const [title, change] of Object.entries(changes)) {
      repository.setTip(ours)
      const tip = repository.commit(change)
      const error = await failure(engine.swap('vault', 'keys', 'x'))
      expect(error, title).toMatchObject({ code: 'VAULT_INVALID', facts: { reason: 'vault-foreign' } })
      expect(repository.tip()).toBe(tip)
    }
    const foreign = { code: 'VAULT_INVALID', facts: { reason: 'vault-foreign' } }
    for (const work of [() => engine.read('vault'), () => engine.list(), () => engine.destroy()]) {
      expect(await failure(work())).toMatchObject(foreign)
    }
    expect((await engine.describe()).at(-1)).toMatchObject({ verdict: 'broken' })
    repository.setTip(ours)
    expect(await engine.swap('vault', 'keys', 'x')).toBe('won')
  })

  test('a project that was never a vault', async () => {
    const repository = await openRepository()
    const tip = repository.commit({ 'README.md': '# my project' })
    const engine = await openEngine(repository.folder)
    expect(await failure(engine.swap(A, undefined, 'x'))).toMatchObject({ facts: { reason: 'vault-foreign' } })
    expect(repository.tip()).toBe(tip)
  })

  test.each([
    ['too long', 'x'.repeat(1024 * 1024)],
    ['not a text', Buffer.from([0xff, 0xfe]).toString('latin1')],
  ])('a record that is %s is damaged', async (title, text) => {
    const repository = await openRepository()
    const engine = await openEngine(repository.folder)
    await engine.swap('vault', undefined, 'keys')
    if (title === 'too long') repository.commit({ vault: text })
    else {
      const file = join(await tempFolder(), 'blob')
      writeFileSync(file, Buffer.from(text, 'latin1'))
      repository.commit({ vault: { entry: `100644 blob ${repository.git(['hash-object', '-w', file])}` } })
    }
    expect(await failure(engine.read('vault'))).toMatchObject({
      code: 'VAULT_INVALID',
      facts: { reason: 'vault-damaged' },
    })
    expect(await engine.swap('vault', 'keys', 'x')).toBe('lost')
  })
})

describe('the machine of the user', () => {
  test('its checkout, index, hooks and settings are not touched or used', async () => {
    const folder = await tempFolder()
    const home = await tempFolder()
    const [marker, hooks] = [join(folder, 'marker'), join(home, 'hooks')]
    git(folder, ['init', '--quiet'])
    writeFileSync(join(folder, 'staged'), 'x')
    git(folder, ['add', 'staged'])
    mkdirSync(hooks)
    for (const hook of ['pre-push', 'reference-transaction', 'post-index-change']) {
      writeFileSync(join(hooks, hook), `#!/bin/sh\ntouch '${marker}'\nexit 1\n`)
      chmodSync(join(hooks, hook), 0o755)
    }
    const settings = [
      'core.hooksPath',
      hooks,
      'commit.gpgSign',
      'true',
      'push.gpgSign',
      'true',
      'push.followTags',
      'true',
      'fetch.prune',
      'true',
      'push.pushOption',
      'ci',
      'gc.auto',
      '1',
      'init.templateDir',
      home,
    ]
    for (let at = 0; at < settings.length; at += 2)
      git(folder, ['config', '--file', join(home, '.gitconfig'), settings[at]!, settings[at + 1]!])
    const environment = {
      ...process.env,
      HOME: home,
      GIT_DIR: join(folder, '.git'),
      GIT_WORK_TREE: folder,
      GIT_INDEX_FILE: join(folder, '.git', 'index'),
      GIT_OBJECT_DIRECTORY: join(folder, 'nowhere'),
      GIT_NAMESPACE: 'x',
      GIT_AUTHOR_NAME: 'Alice',
      GIT_TRACE: join(folder, 'trace'),
    }
    const before = [git(folder, ['status', '--porcelain']), readdirSync(join(folder, '.git')).sort()]
    const { server, repository } = await openServer() // with settings of its own
    const engine = await openEngine(server.url(), { environment, token: WRITER.password })
    expect(await engine.swap(A, undefined, 'one')).toBe('won')
    expect(await engine.read(A)).toBe('one')
    expect([git(folder, ['status', '--porcelain']), readdirSync(join(folder, '.git')).sort()]).toStrictEqual(before)
    expect(readdirSync(folder).sort()).toStrictEqual(['.git', 'staged'])
    expect(repository.git(['log', '-1', '--format=%an', repository.tip()!])).toBe('atproto-oauth')
  })

  test('a checkout as the remote keeps its work tree', async () => {
    const folder = await tempFolder()
    git(folder, ['init', '--quiet'])
    writeFileSync(join(folder, 'file'), 'x')
    git(folder, ['add', 'file'])
    git(folder, ['commit', '--quiet', '-m', 'mine'])
    const head = git(folder, ['rev-parse', 'HEAD'])
    const engine = await openEngine(folder)
    expect(await engine.swap(A, undefined, 'one')).toBe('won')
    expect([git(folder, ['rev-parse', 'HEAD']), git(folder, ['status', '--porcelain'])]).toStrictEqual([head, ''])
  })

  test('no git', async () => {
    const repository = await openRepository()
    const engine = await openEngine(repository.folder, { environment: { PATH: await tempFolder() } })
    const missing = { code: 'VAULT_INVALID', facts: { reason: 'git-missing' } }
    expect(await failure(engine.read(A))).toMatchObject(missing)
    expect(await failure(engine.swap(A, undefined, 'x'))).toMatchObject(missing)
    expect(await engine.describe()).toMatchObject([{ topic: 'git', verdict: 'broken' }])
  })

  test('git that is too old', async () => {
    const { environment } = await spyOnGit('echo git version 2.19.2; exit')
    const engine = await openEngine((await openRepository()).folder, { environment })
    expect(await failure(engine.read(A))).toMatchObject({ code: 'VAULT_INVALID', facts: { reason: 'git-outdated' } })
  })
})

test('git before 2.31, which has another way for settings in the environment', async () => {
  const { server } = await openServer()
  const { environment, log } = await spyOnGit('case "$*" in *--version) echo git version 2.20.1; exit;; esac')
  const engine = await openEngine(server.url(), { token: `${WRITER.user}:${WRITER.password}`, environment })
  expect(await engine.swap(A, undefined, 'one')).toBe('won')
  expect(await engine.read(A)).toBe('one')
  expect(log()).not.toMatch(/canary|object-format/)
})

test('over ssh, which never asks', async () => {
  const folder = await tempFolder()
  const log = join(folder, 'log')
  writeFileSync(
    join(folder, 'ssh'),
    `#!/bin/sh\nprintf '%s ' "$@" >> '${log}'\nfor last; do :; done\nexec sh -c "$last"\n`,
  )
  chmodSync(join(folder, 'ssh'), 0o755)
  const repository = await openRepository()
  const environment = { ...process.env, PATH: [folder, process.env['PATH']].join(delimiter) }
  const engine = await openEngine(`ssh://me@a.dev:2222${repository.folder.replace(/\.git$/, '')}`, { environment })
  expect(await engine.swap(A, undefined, 'one')).toBe('won')
  expect(readFileSync(log, 'utf8')).toMatch(/^-oBatchMode=yes .*-p 2222 me@a\.dev git-upload-pack /)
  // A program of the user gets what it expects, and nothing else.
  writeFileSync(log, '')
  const own = await openEngine(`me@a.dev:${repository.folder}`, {
    environment: { ...environment, GIT_SSH_COMMAND: `sh -c 'ssh "$@"' mine` },
  })
  expect(await own.read(A)).toBe('one')
  expect(readFileSync(log, 'utf8')).not.toContain('BatchMode')
})

describe('git is killed', () => {
  const killOnce = async (command: string) => {
    const marker = join(await tempFolder(), 'marker')
    const script = `case " $* " in *' ${command} '*) if [ -e '${marker}' ]; then rm '${marker}'; kill -9 $$; fi;; esac`
    const { environment } = await spyOnGit(script)
    return { environment, arm: () => writeFileSync(marker, ''), isArmed: () => existsSync(marker) }
  }

  test('in a push: unknown', async () => {
    const { environment, arm, isArmed } = await killOnce('push')
    const engine = await openEngine((await openRepository()).folder, { environment })
    await engine.swap(A, undefined, 'one')
    arm()
    expect(await engine.swap(A, 'one', 'two')).toBe('unknown')
    expect(isArmed()).toBe(false)
    expect(await engine.swap(A, 'one', 'two')).toBe('won')
  })

  test.each(['fetch', 'hash-object', 'mktree', 'commit-tree', 'cat-file'])(
    'in %s: it is made again',
    async (command) => {
      const { environment, arm, isArmed } = await killOnce(command)
      const engine = await openEngine((await openRepository()).folder, { environment })
      await engine.swap(A, undefined, 'one')
      arm()
      expect(await engine.read(A)).toBe('one')
      expect(await engine.swap(A, 'one', 'two')).toBe('won')
      expect(isArmed()).toBe(false)
      expect(await engine.list()).toStrictEqual(new Map([[A, 'two']]))
    },
  )
})

test.skipIf(!hasTinyDisk())('a full disk: a temporary folder does', async () => {
  const repository = await openRepository()
  const disk = await tempFolder()
  const code = `
    const { writeFileSync } = await import('node:fs')
    const { parseVaultAddress } = await import(process.env.SRC + 'node/vault/address.ts')
    const { createGitEngine } = await import(process.env.SRC + 'node/vault/git.ts')
    const [url, cache] = process.argv.slice(1)
    const engine = createGitEngine(await parseVaultAddress('git:' + url), { cache })
    const text = 'x'.repeat(200_000).replace(/x/g, () => Math.random().toString(36)[3])
    const outcomes = [await engine.swap('vault', undefined, '1')]
    try { writeFileSync(cache + '/filler', 'x'.repeat(600_000)) } catch {}
    outcomes.push(await engine.swap('vault', '1', text), await engine.read('vault') === text)
    process.stdout.write(outcomes.join(' '))`
  const { stdout, stderr } = await startNode(code, [repository.folder, disk], onTinyDisk(disk)).ended
  expect({ stdout, stderr }).toStrictEqual({ stdout: 'won won true', stderr: '' })
})

describe('the cache', () => {
  test('is private, and one for each address', async () => {
    const [repository, cache] = [await openRepository(), await tempFolder()]
    await (await openEngine(repository.folder, { cache })).read(A)
    await (await openEngine(`${repository.folder}#b`, { cache })).read(A)
    const folders = readdirSync(cache)
    expect(folders).toHaveLength(2)
    for (const folder of folders) {
      expect(statSync(join(cache, folder)).mode & 0o777).toBe(0o700)
      expect(statSync(join(cache, folder, 'repository')).mode & 0o777).toBe(0o700)
    }
  })

  test.each([
    ['emptied', (folder: string) => writeFileSync(join(folder, 'HEAD'), '')],
    ['without objects', (folder: string) => git(folder, ['-c', 'x.y=z', 'update-ref', '-d', 'refs/vault/tip'])],
    ['locked by a git that was killed', (folder: string) => writeFileSync(join(folder, 'refs/vault/tip.lock'), '')],
    ['with a lock on its list of shallow commits', (folder: string) => writeFileSync(join(folder, 'shallow.lock'), '')],
    ['with settings that cannot be read', (folder: string) => writeFileSync(join(folder, 'config'), '[[[')],
    [
      'with a list of shallow commits that cannot be read',
      (folder: string) => writeFileSync(join(folder, 'shallow'), 'x'),
    ],
  ])('%s, it is made again', async (_, damage) => {
    const [repository, cache] = [await openRepository(), await tempFolder()]
    const engine = await openEngine(repository.folder, { cache })
    await engine.swap(A, undefined, 'one')
    await engine.read(A)
    const folder = join(cache, readdirSync(cache)[0]!, 'repository')
    const other = await openEngine(repository.folder)
    await other.swap(A, 'one', 'two')
    damage(folder)
    expect(await engine.read(A)).toBe('two')
    expect(await engine.swap(A, 'two', 'three')).toBe('won')
  })

  test('with every object damaged, it is made again', async () => {
    const [repository, cache] = [await openRepository(), await tempFolder()]
    const engine = await openEngine(repository.folder, { cache })
    await engine.swap(A, undefined, 'one')
    await engine.read(A)
    const objects = join(cache, readdirSync(cache)[0]!, 'repository', 'objects')
    for (const file of readdirSync(objects, { recursive: true, encoding: 'utf8' })) {
      if (!statSync(join(objects, file)).isFile()) continue
      chmodSync(join(objects, file), 0o600)
      writeFileSync(join(objects, file), 'x')
    }
    expect(await engine.read(A)).toBe('one')
    expect(await engine.swap(A, 'one', 'two')).toBe('won')
  })

  test('with many objects, it is made again', async () => {
    const [repository, cache] = [await openRepository(), await tempFolder()]
    const engine = await openEngine(repository.folder, { cache })
    await engine.swap(A, undefined, 'one')
    const many = join(cache, readdirSync(cache)[0]!, 'repository', 'objects', '17')
    mkdirSync(many, { recursive: true })
    for (let count = 0; count < 20; count += 1) writeFileSync(join(many, String(count)), '')
    expect(await engine.swap(A, 'one', 'two')).toBe('won')
    expect(existsSync(join(many, '0'))).toBe(false)
  })

  test('where it cannot be written, a temporary folder does', async () => {
    const repository = await openRepository()
    const cache = join(await tempFolder(), 'file')
    writeFileSync(cache, '')
    const engine = await openEngine(repository.folder, { cache })
    expect(await engine.swap(A, undefined, 'one')).toBe('won')
    expect(await engine.read(A)).toBe('one')
    expect(await engine.describe()).toContainEqual(expect.objectContaining({ topic: 'cache', verdict: 'warning' }))
  })
})

test('a lock that a killed process has left at the service is an error, not an endless repeat', async () => {
  const repository = await openRepository()
  const engine = await openEngine(repository.folder)
  await engine.swap(A, undefined, 'one')
  const lock = join(repository.folder, 'refs/heads/atproto-oauth.lock')
  writeFileSync(lock, '')
  const error = await failure(engine.swap(A, 'one', 'two'))
  expect(error).toMatchObject({ code: 'VAULT_REFUSED', message: expect.stringMatching(/failed to update ref/) })
  rmSync(lock)
  expect(await engine.swap(A, 'one', 'two')).toBe('won')
})

test('a hook that refuses a push: its words are in the error, and nothing was changed', async () => {
  const repository = await openRepository()
  const engine = await openEngine(repository.folder)
  await engine.swap(A, undefined, 'one')
  const tip = repository.tip()
  repository.refusePushes([
    'error: GH006: Protected branch update failed for refs/heads/atproto-oauth.',
    'Not \u001b[31mhere\u202e.',
  ])
  const error = await failure(engine.swap(A, 'one', 'two'))
  expect(error).toMatchObject({ code: 'VAULT_REFUSED', facts: { reason: 'vault-branch-protected' } })
  expect(error.message).toMatch(
    /: error: GH006: Protected branch update failed for refs\/heads\/atproto-oauth\.; Not here\.$/,
  )
  expect(repository.tip()).toBe(tip)
  repository.hook('pre-receive', undefined)
  expect(await engine.swap(A, 'one', 'two')).toBe('won')
})

describe('over HTTP', () => {
  test('a token goes to the service in one header, instead of what the machine has, and nowhere else', async () => {
    const { server } = await openServer()
    const home = await tempFolder()
    const settings = [
      `http.${server.origin}/.extraheader=Authorization: Basic Zm9yZWlnbg==`,
      'http.extraHeader=Authorization: Basic Zm9yZWlnbg==',
    ]
    for (const line of settings) {
      const at = line.indexOf('=')
      git(home, ['config', '--file', join(home, '.gitconfig'), '--add', line.slice(0, at), line.slice(at + 1)])
    }
    const { environment, log } = await spyOnGit()
    const cache = await tempFolder()
    const engine = await openEngine(server.url(), {
      cache,
      token: WRITER.password,
      environment: { ...environment, HOME: home },
    })
    expect(await engine.swap(A, undefined, 'one')).toBe('won')
    expect(await engine.read(A)).toBe('one')
    const basic = Buffer.from(`x-access-token:${WRITER.password}`).toString('base64')
    expect(new Set(server.requests.flatMap(({ authorization }) => authorization))).toStrictEqual(
      new Set([`Basic ${basic}`]),
    )
    const files = readdirSync(cache, { recursive: true, encoding: 'utf8' }).map((file) => join(cache, file))
    const written = files.filter((file) => statSync(file).isFile()).map((file) => readFileSync(file, 'latin1'))
    for (const text of [log(), ...written]) {
      expect(text).not.toContain(WRITER.password)
      expect(text).not.toContain(basic)
    }
  })

  test("git's own credentials", async () => {
    const { server } = await openServer()
    const home = await tempFolder()
    const helper = `!f() { echo username=${WRITER.user}; echo password=${WRITER.password}; }; f`
    git(home, ['config', '--file', join(home, '.gitconfig'), 'credential.helper', helper])
    const engine = await openEngine(server.url(), { environment: { ...process.env, HOME: home } })
    expect(await engine.swap(A, undefined, 'one')).toBe('won')
    expect(await engine.read(A)).toBe('one')
  })

  test('few requests: two for a change, two for a look that finds nothing new', async () => {
    const { server } = await openServer()
    const engine = await openEngine(server.url(), { token: WRITER.password })
    const other = await openEngine(server.url(), { token: WRITER.password })
    await engine.swap(A, undefined, 'one')
    await other.read(A)
    const count = async (work: Promise<unknown>) => {
      server.requests.length = 0
      await work
      return server.requests.length
    }
    expect(await count(engine.swap(A, 'one', 'two'))).toBe(2)
    expect(await count(other.read(A))).toBe(3)
    expect(await count(other.read(A))).toBe(2)
    expect(await count(other.swap(A, 'two', 'three'))).toBe(2)
  })

  test.each([
    ['a token that may only read', READER.password, 'vault', undefined, 'vault-write-denied'],
    ['a wrong token', 'wrong-canary-0123456789', 'vault', 'vault-read-denied', 'vault-read-denied'],
    ['no credentials', undefined, 'vault', 'vault-read-denied', 'vault-read-denied'],
    ['no such repository', WRITER.password, 'other', 'vault-read-denied', 'vault-read-denied'],
  ])('%s', async (_, token, name, reading, writing) => {
    const { server, repository } = await openServer()
    const engine = await openEngine(server.url(name), { token })
    if (reading === undefined) expect(await engine.read(A)).toBeUndefined()
    else expect(await failure(engine.read(A))).toMatchObject({ code: 'VAULT_REFUSED', facts: { reason: reading } })
    const error = await failure(engine.swap(A, undefined, 'one'))
    expect(error).toMatchObject({ code: 'VAULT_REFUSED', facts: { reason: writing } })
    if (token !== undefined) expect(shown(error)).not.toContain(token)
    expect((await engine.describe()).at(reading === undefined ? -2 : -1)).toMatchObject({ verdict: 'broken' })
    expect(repository.tip()).toBeUndefined()
  })

  test('a service that repeats the token in its message', async () => {
    const { server, repository } = await openServer()
    const encoded = Buffer.from(`x-access-token:${WRITER.password}`).toString('base64')
    repository.refusePushes([`no: ${WRITER.password} ${encoded}`])
    const engine = await openEngine(server.url(), { token: WRITER.password })
    const error = await failure(engine.swap(A, undefined, 'one'))
    expect(error.message).toContain('no: [redacted]')
    expect(shown(error)).not.toMatch(/canary|Y2FuYXJ5/)
  })

  test('a redirect is not followed, but for the long form of the address at the same service', async () => {
    const { server } = await openServer()
    server.repository('long.git')
    server.repository('other.git')
    server.onRequest = ({ path }) => (path.startsWith('/long/') ? 301 : path.startsWith('/other/') ? 404 : undefined)
    expect(await (await openEngine(server.url('other'), { token: WRITER.password })).read(A)).toBeUndefined()
    const engine = await openEngine(server.url('long'), { token: WRITER.password })
    expect(await engine.swap(A, undefined, 'one')).toBe('won')
    expect(await engine.read(A)).toBe('one')
    server.onRequest = () => 301
    expect(await failure(engine.read(A))).toMatchObject({
      code: 'VAULT_REFUSED',
      message: expect.stringMatching(/has moved/),
    })
  })

  test.each([
    [500, 'VAULT_UNREACHABLE'],
    [403, 'VAULT_REFUSED'],
  ] as const)('HTTP status %i', async (status, code) => {
    const { server, repository } = await openServer()
    const engine = await openEngine(server.url(), { token: WRITER.password })
    await engine.swap(A, undefined, 'one')
    const tip = repository.tip()
    server.onRequest = () => status
    expect(await failure(engine.read(A))).toMatchObject({ code })
    expect(await failure(engine.swap(A, 'one', 'two'))).toMatchObject({ code })
    expect(repository.tip()).toBe(tip)
  })

  test.each(['kill', 502] as const)('%s during the push: unknown', async (fault) => {
    const { server } = await openServer()
    const engine = await openEngine(server.url(), { token: WRITER.password })
    await engine.swap(A, undefined, 'one')
    server.onRequest = ({ isPush }) => (isPush ? fault : undefined)
    expect(await engine.swap(A, 'one', 'two')).toBe('unknown')
    server.onRequest = undefined
    expect(await engine.read(A)).toBe('one')
    expect(await engine.swap(A, 'one', 'two')).toBe('won')
  })

  test.each([403, 413] as const)('HTTP status %i for the push: rejected, and nothing was changed', async (status) => {
    const { server } = await openServer()
    const engine = await openEngine(server.url(), { token: WRITER.password })
    await engine.swap(A, undefined, 'one')
    server.onRequest = ({ isPush }) => (isPush ? status : undefined)
    const error = await failure(engine.swap(A, 'one', 'two'))
    expect(['VAULT_REFUSED', 'VAULT_UNREACHABLE']).toContain(error.code)
    server.onRequest = undefined
    expect(await engine.read(A)).toBe('one')
  })

  test('a service that does not respond in time', async () => {
    const { server } = await openServer()
    const engine = await openEngine(server.url(), { token: WRITER.password, timeout: 1_000 })
    await engine.swap(A, undefined, 'one')
    server.onRequest = () => new Promise(() => undefined)
    expect(await failure(engine.read(A))).toMatchObject({
      code: 'VAULT_UNREACHABLE',
      message: expect.stringMatching(/no response in time/),
    })
    server.onRequest = undefined
    await engine.read(A)
    server.onRequest = ({ isPush }) => (isPush ? new Promise(() => undefined) : undefined)
    expect(await engine.swap(A, 'one', 'two')).toBe('unknown')
  })

  test('curl repeats a push whose connection was closed, and another machine was faster in between', async () => {
    const { server, repository } = await openServer()
    const engine = await openEngine(server.url(), { token: WRITER.password })
    const other = await openEngine(repository.folder)
    await engine.swap(A, undefined, 'one')
    let pushes = 0
    server.onRequest = async ({ isPush }) => {
      if (!isPush) return undefined
      pushes += 1
      if (pushes === 1) return 'close-after'
      expect(await other.swap(A, 'two', 'three')).toBe('won')
      return undefined
    }
    expect(await engine.swap(A, 'one', 'two')).toBe('unknown')
    expect(pushes).toBe(2)
    expect(await engine.read(A)).toBe('three')
  })

  test('nobody listens; there is no such host', async () => {
    const { server } = await openServer()
    await server.close()
    for (const url of [server.url(), 'https://nowhere.invalid/a/b']) {
      const engine = await openEngine(url)
      expect(await failure(engine.read(A))).toMatchObject({ code: 'VAULT_UNREACHABLE' })
      expect(await failure(engine.swap(A, undefined, 'x'))).toMatchObject({ code: 'VAULT_UNREACHABLE' })
    }
  })

  test('a token is not sent unencrypted', async () => {
    expect(await failure(openEngine('http://a.dev/b', { token: 'x' }))).toMatchObject({ code: 'USAGE' })
  })
})

test('the token of a job on GitHub is for GitHub only', async () => {
  const environment = { GITHUB_TOKEN: 'job' }
  const tokenFor = async (url: string, more = {}) =>
    vaultToken(await parseVaultAddress(`git:${url}`), { ...environment, ...more })
  expect(await tokenFor('https://github.com/a/b')).toBe('job')
  for (const url of [
    'https://github.com.evil.dev/a/b',
    'https://gitlab.com/a/b',
    'https://github.com:444/a/b',
    'git@github.com:a/b',
    '/srv/a',
  ]) {
    expect(await tokenFor(url), url).toBeUndefined()
  }
  expect(await tokenFor('https://github.com/a/b', { ATPROTO_OAUTH_VAULT_TOKEN: 'mine' })).toBe('mine')
  expect(await tokenFor('https://gitlab.com/a/b', { ATPROTO_OAUTH_VAULT_TOKEN: ' mine\n' })).toBe('mine')
  expect(await tokenFor('git@github.com:a/b', { ATPROTO_OAUTH_VAULT_TOKEN: 'mine' })).toBeUndefined()
})

test('a path with no repository', async () => {
  const engine = await openEngine(join(await tempFolder(), 'missing'))
  expect(await failure(engine.read(A))).toMatchObject({ code: 'VAULT_REFUSED', facts: { reason: 'vault-read-denied' } })
  expect(await failure(engine.swap(A, undefined, 'x'))).toMatchObject({ code: 'VAULT_REFUSED' })
})
