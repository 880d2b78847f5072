import { mkdirSync, realpathSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parseVaultAddress } from '../../../src/node/vault/address.ts'
import { failure } from '../../support/failure.ts'
import { git } from '../../support/git-server.ts'
import { shown, tempFolder } from '../helpers.ts'

const parse = (text: string, folder = '/srv/git', environment: NodeJS.ProcessEnv = process.env) =>
  parseVaultAddress(text as `git:${string}`, { folder, environment })

test.each([
  ['git:https://github.com/alice/bot', 'https://github.com/alice/bot'],
  ['git:https://GitHub.com:443/Alice/Bot.git/', 'https://github.com/alice/bot'],
  ['git:https://gitlab.com/Group/sub/bot.git', 'https://gitlab.com/Group/sub/bot'],
  ['git:http://127.0.0.1:3000/a/b', 'http://127.0.0.1:3000/a/b'],
  ['git:ssh://me@Example.com:22/srv/vault.git', 'ssh://me@example.com/srv/vault'],
  ['git:ssh://example.com:2222/srv/vault', 'ssh://example.com:2222/srv/vault'],
  ['git:me@example.com:srv/vault.git', 'me@example.com:srv/vault'],
  ['git:/srv/vault.git', '/srv/vault.git'],
  ['git:/srv//x/../vault.git/', '/srv/vault.git'],
  ['git:file:///srv/my%20vault.git', '/srv/my vault.git'],
  ['git:vault.git', '/srv/git/vault.git'],
  ['git:./vault.git', '/srv/git/vault.git'],
  ['git:../vault:x', '/srv/vault:x'],
])('%s is %s', async (text, url) => {
  const address = await parse(text)
  expect(address).toMatchObject({
    kind: 'git',
    url,
    branch: 'atproto-oauth',
    text: `git:${url}`,
    identity: `git:${url}`,
  })
  expect(await parse(address.text)).toStrictEqual(address)
})

test.each([
  ['git:git@github.com:Alice/bot.git', 'git:https://github.com/alice/bot'],
  ['git:ssh://git@github.com/alice/bot', 'git:https://github.com/alice/bot'],
  ['git:ssh://git@ssh.github.com:443/alice/bot.git', 'git:https://github.com/alice/bot'],
  ['git:git@codeberg.org:alice/bot#b', 'git:https://codeberg.org/alice/bot#b'],
  ['git:git@example.com:/srv/vault', 'git:git@example.com:/srv/vault'],
  ['git:ssh://git@example.com:2222/alice/bot', 'git:ssh://git@example.com:2222/alice/bot'],
])('%s is the vault that %s names', async (text, identity) => {
  const address = await parse(text)
  expect(address.identity).toBe(identity)
  expect((await parse(identity)).identity).toBe(identity)
  expect(address.url).toMatch(/^(?:ssh:|git@)/)
})

test('a branch of its own', async () => {
  expect(await parse('git:https://a.dev/b.git#x/y')).toMatchObject({ branch: 'x/y', text: 'git:https://a.dev/b#x/y' })
  expect(await parse('git:https://a.dev/b#atproto-oauth')).toMatchObject({ text: 'git:https://a.dev/b' })
  for (const bad of [
    '',
    '-d',
    'a b',
    'a..b',
    '/a',
    'a/',
    'a//b',
    '.a',
    'a/.b',
    'a.lock',
    'a.',
    'a~1',
    'a:b',
    'a@{1}',
    '@',
    'HEAD',
    'a\\b',
    'a*',
    'a#b?',
  ]) {
    expect(await failure(parse(`git:https://a.dev/b#${bad}`)), bad).toMatchObject({
      code: 'USAGE',
      facts: { reason: 'vault-address-malformed' },
    })
  }
})

test.each([
  ['https://github.com/alice/bot', 'git:https://github.com/alice/bot'],
  ['git@github.com:alice/bot', 'git:git@github.com:alice/bot'],
  ['./bot.git', 'git:./bot.git'],
  ['https://alice:secret@github.com/bot', undefined],
  ['github.com/alice/bot', 'git:https://github.com/alice/bot'],
  ['git clone git@github.com:alice/bot.git', 'git:git@github.com:alice/bot.git'],
  ['https://github.com/alice/bot/tree/main?tab=readme', 'git:https://github.com/alice/bot'],
  ['https://gitlab.com/a/b/c/-/tree/main', 'git:https://gitlab.com/a/b/c'],
  ['git:https://codeberg.org/alice/bot?a=b', 'git:https://codeberg.org/alice/bot'],
  ['redis.example:6379', 'redis://redis.example:6379'],
  ['alice/bot', undefined],
  ['https://alice:secret@github.com/alice/bot/tree/main', undefined],
  ['https://alice:se/cr?et@git.example/bot', undefined],
  ['ssh://git:secret@git.example/bot', undefined],
  ['git clone ssh://git:secret@git.example/bot', undefined],
  ['git:ssh://git:secret@git.example/bot?a=b', undefined],
  ['git clone ssh://git@git.example/bot', 'git:ssh://git@git.example/bot'],
  ['git:ssh://git@git.example/bot?a=b', 'git:ssh://git@git.example/bot'],
])('%j lacks the kind, or more', async (text, meant) => {
  expect((await failure(parse(text))).facts).toStrictEqual({ reason: 'vault-address-malformed', meant })
})

test.each([
  '',
  'git:',
  'git',
  'https://github.com/alice/bot',
  'valkey://localhost',
  'git:-x',
  'git:--upload-pack=touch x',
  'git:ext::sh -c touch% x',
  'git:fd::3',
  'git:https::x',
  'git:git://a.dev/b',
  'git:ftp://a.dev/b',
  'git:git+ssh://a.dev/b',
  'git:https://',
  'git:https://a.dev',
  'git:https://a.dev/b?c',
  'git:ssh://-oProxyCommand=x/b',
  'git:-oProxyCommand=x:b',
  'git:a@-oProxyCommand=x:b',
  'git:a.dev:-x',
  'git:file://host/b',
  'git:file:///%zz',
  'git:https://a.dev/b\n',
  'git:/a\u0000b',
])('%j is rejected', async (text) => {
  expect(await failure(parse(text))).toMatchObject({ code: 'USAGE', facts: { reason: 'vault-address-malformed' } })
})

test.each([
  'https://me:canary-1@a.dev/b',
  'https://canary-1@a.dev/b',
  'ssh://me:canary-1@a.dev/b',
  'https://me:canary-1@a.dev:x/b',
  'ftp://me:canary-1@a.dev/b',
  'https://me:canary-1#x@a.dev/b',
  'https://me:x#canary-1 x@a.dev/b',
  'https://me:canary-1/x@a.dev/b',
  'https://me:1/canary-1@a.dev/b?x',
])('a secret in an address is rejected, and not repeated: %#', async (url) => {
  const error = await failure(parse(`git:${url}`))
  expect(error.code).toBe('USAGE')
  expect(shown(error)).not.toContain('canary-1')
})

describe('git:. is the remote of the checkout', () => {
  async function checkout(remotes: Readonly<Record<string, string>>): Promise<string> {
    const folder = await tempFolder()
    git(folder, ['init', '--quiet'])
    for (const [name, url] of Object.entries(remotes)) git(folder, ['remote', 'add', name, url])
    return folder
  }

  test('the only one, also from a folder below', async () => {
    const folder = await checkout({ up: 'git@github.com:alice/bot.git' })
    mkdirSync(join(folder, 'below'))
    expect(await parse('git:.', join(folder, 'below'))).toMatchObject({
      text: 'git:git@github.com:alice/bot',
      identity: 'git:https://github.com/alice/bot',
    })
    expect((await parse('git:.#b', folder)).text).toBe('git:git@github.com:alice/bot#b')
  })

  test('that to which the branch is pushed, else origin', async () => {
    const folder = await checkout({
      origin: 'https://a.dev/origin',
      fork: 'https://a.dev/fork',
      up: 'https://a.dev/up',
    })
    expect((await parse('git:.', folder)).url).toBe('https://a.dev/origin')
    git(folder, ['config', 'branch.main.remote', 'up'])
    git(folder, ['symbolic-ref', 'HEAD', 'refs/heads/main'])
    expect((await parse('git:.', folder)).url).toBe('https://a.dev/up')
    git(folder, ['config', 'remote.pushDefault', 'fork'])
    expect((await parse('git:.', folder)).url).toBe('https://a.dev/fork')
    git(folder, ['config', 'branch.main.pushRemote', 'origin'])
    expect((await parse('git:.', folder)).url).toBe('https://a.dev/origin')
  })

  test('a path is that from the folder of the checkout', async () => {
    const folder = await checkout({ origin: '../vault.git' })
    mkdirSync(join(folder, 'below'))
    expect((await parse('git:.', join(folder, 'below'))).url).toBe(join(realpathSync(folder), '..', 'vault.git'))
  })

  test('without the token that a CI job has in it', async () => {
    const folder = await checkout({ origin: 'https://gitlab-ci-token:canary-1@gitlab.com/a/b.git' })
    expect(await parse('git:.', folder)).toMatchObject({
      text: 'git:https://gitlab.com/a/b',
      url: 'https://gitlab.com/a/b',
    })
  })

  test('no checkout, no remote, no git', async () => {
    const folder = await tempFolder()
    expect(await failure(parse('git:.', folder))).toMatchObject({
      code: 'VAULT_INVALID',
      facts: { reason: 'git-remote-missing' },
    })
    expect(await failure(parse('git:.', await checkout({})))).toMatchObject({ facts: { reason: 'git-remote-missing' } })
    const several = await checkout({ one: 'https://a.dev/b', two: 'https://a.dev/c' })
    expect(await failure(parse('git:.', several))).toMatchObject({ facts: { reason: 'git-remote-missing' } })
    expect(await failure(parse('git:.', folder, { PATH: folder }))).toMatchObject({ facts: { reason: 'git-missing' } })
  })
})
