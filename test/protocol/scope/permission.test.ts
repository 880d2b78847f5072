import { describe, expect, test } from 'vitest'
import { isCovered, normalToken, parsePermission } from '../../../src/protocol/scope/permission.ts'

const SVC = 'did:web:x.y%23svc'

/** A token and its normal form, which is itself where there is only one. */
function valid(...pairs: (string | [string, string])[]) {
  for (const pair of pairs) {
    const [token, normal] = typeof pair === 'string' ? [pair, pair] : pair
    expect(parsePermission(token), token).toBeDefined()
    expect(normalToken(token)).toBe(normal)
    expect(normalToken(normal), 'a normal form is its own').toBe(normal)
  }
}

function invalid(...tokens: string[]) {
  for (const token of tokens) expect(parsePermission(token), token).toBeUndefined()
}

describe('the grammar, with the golden data of 22.1', () => {
  test('15.2 a positional value or a named one, decoded; a repeated name is a list', () => {
    valid(
      ['repo:a%2Eb%2Ec', 'repo:a.b.c'],
      ['repo?collection=a.b.c', 'repo:a.b.c'],
      ['repo?collection=d.e.f&collection=a.b.c', 'repo?collection=a.b.c&collection=d.e.f'],
      ['identity:*?', 'identity:*'],
      ['rpc:a.b.c?&aud=*', 'rpc:a.b.c?aud=*'],
      ['repo?collection=a.b.c&', 'repo:a.b.c'],
    )
    invalid('repo:a.b.c?collection=d.e.f', 'repo:a.b.c?collection=a.b.c', 'Repo:a.b.c', 'repo%3Aa.b.c', 'openid')
    invalid('repo:%zz', 'repo?collection=%zz', 'repo:a.b.c?action', 'repo:a.b.c?=create', 'repo:a.b.c&action=create')
    invalid('transition:foo', 'atproto', '', ':a.b.c', '?a=b', 'toString:a.b.c', '__proto__:a', 'constructor')
  })

  test('15.3 repo', () => {
    valid(
      'repo:*',
      'repo:app.example.profile',
      ['repo:a.b.c?action=create&action=create', 'repo:a.b.c?action=create'],
      ['repo:a.b.c?action=update&action=create', 'repo:a.b.c?action=create&action=update'],
      ['repo:a.b.c?action=create&action=update&action=delete', 'repo:a.b.c'],
      ['repo?collection=*&collection=a.b.c', 'repo:*'],
    )
    invalid('repo', 'repo:', 'repo:com.example', 'repo:a.b.*', 'repo:a.b.c?action=read', 'repo:*?action=*')
    invalid('repo:a.b.c?foo=bar', 'repo?action=create', 'repo:a.b.c?action=')
  })

  test('15.4 rpc', () => {
    valid('rpc:a.b.c?aud=*', ['rpc:a.b.c?aud=did:web:x.y#svc', `rpc:a.b.c?aud=${SVC}`])
    valid(
      [`rpc?lxm=*&aud=${SVC}`, `rpc:*?aud=${SVC}`],
      ['rpc?lxm=b.b.c&lxm=a.b.c&aud=*', 'rpc?lxm=a.b.c&lxm=b.b.c&aud=*'],
    )
    invalid('rpc:*', 'rpc:*?aud=*', 'rpc?lxm=a.b.c&lxm=*&aud=*', 'rpc:a.b.c', 'rpc:a.b.c?aud=did:web:x.y')
    invalid(
      'rpc:a.b.c?aud=*&aud=*',
      'rpc:a.b.*?aud=*',
      'rpc:a.b.c?aud=did:plc:111%23x',
      'rpc:a.b.c?aud=did:key:z6Mk%23x',
    )
    invalid(
      'rpc?aud=*',
      `rpc:a.b.c?aud=${SVC}%23b`,
      'rpc:a.b.c?aud=did:web:x.y%23',
      'rpc:a.b.c?aud=did:web:x.y%23a%20b',
    )
  })

  test('15.5 blob', () => {
    valid('blob:*/*', 'blob:image/*', 'blob:image/png', 'blob:image/svg+xml', ['blob:image%2Fpng', 'blob:image/png'])
    valid(['blob?accept=video/*&accept=text/html', 'blob?accept=text/html&accept=video/*'])
    valid(['blob?accept=image/*&accept=image/png', 'blob:image/*'], ['blob:Image/PNG', 'blob:image/png'])
    invalid(
      'blob',
      'blob:*',
      'blob:*/png',
      'blob:image',
      'blob:*/**',
      'blob:image/',
      'blob:im*/png',
      'blob:image/png/x',
    )
    invalid('blob?accept=image/svg+xml') // a server reads that + as a space
    valid(['blob?accept=image/svg%2Bxml', 'blob:image/svg+xml'])
  })

  test('15.6 account', () => {
    valid('account:email', 'account:status', 'account:email?action=manage', [
      'account:email?action=read',
      'account:email',
    ])
    valid(['account?action=manage&attr=repo', 'account:repo?action=manage'])
    valid(['account:email?action=read&action=manage', 'account:email?action=manage'])
    invalid('account:*', 'account', 'account:email?action=write', 'account?attr=email&attr=repo')
  })

  test('15.7 identity', () => {
    valid('identity:handle', 'identity:*', ['identity?attr=*', 'identity:*'])
    invalid('identity:submit', 'identity:handle?action=manage', 'identity')
  })

  test('15.8 include', () => {
    valid('include:a.b.c', 'include:a.b.c?aud=did:web:x.y%23s', ['include?nsid=a.b.c', 'include:a.b.c'])
    invalid('include:com.example', 'include:a.b.c?aud=*', 'include:a.b.c?aud=did:web:x.y', 'include:*', 'include')
  })

  test('a list without end is not sorted through', () => {
    const list = (length: number) => Array.from({ length }, (_, index) => `collection=a.b.c${index}`).join('&')
    expect(parsePermission(`repo?${list(1000)}`)).toBeDefined()
    expect(parsePermission(`repo?${list(1001)}`)).toBeUndefined()
  })
})

describe('what covers what', () => {
  const covers = (granted: string, wanted: string) => isCovered(parsePermission(wanted)!, granted.split(' '))

  test.each([
    ['account:email?action=manage', 'account:email'],
    ['transition:email', 'account:email'],
    ['transition:generic', `rpc:*?aud=${SVC}`],
    ['transition:generic', 'rpc:app.bsky.feed.getTimeline?aud=*'],
    ['transition:generic', 'repo:*'],
    ['transition:generic', 'blob:*/*'],
    ['transition:chat.bsky', 'rpc:chat.bsky.convo.listConvos?aud=*'],
    ['blob:image/*', 'blob:image/gif'],
    ['blob:*/*', 'blob:image/*'],
    ['repo:*', 'repo:a.b.c?action=delete'],
    ['repo:*?action=create repo:*?action=update', 'repo?collection=a.b.c&collection=d.e.f&action=create&action=update'],
    [`rpc:*?aud=${SVC}`, `rpc:a.b.c?aud=${SVC}`],
    ['rpc:a.b.c?aud=*', `rpc:a.b.c?aud=${SVC}`],
    ['identity:*', 'identity:handle'],
  ])('15.11 %s has %s', (granted, wanted) => {
    expect(covers(granted, wanted)).toBe(true)
    expect(covers(`atproto ${granted} unknown:x`, wanted)).toBe(true)
  })

  test.each([
    ['transition:email', 'account:email?action=manage'],
    ['transition:email', 'account:repo'],
    ['transition:generic', 'rpc:chat.bsky.convo.listConvos?aud=*'],
    ['transition:generic', 'account:email'],
    ['transition:generic', 'identity:handle'],
    ['transition:chat.bsky', 'rpc:app.bsky.feed.getTimeline?aud=*'],
    ['transition:chat.bsky', 'repo:*'],
    ['repo:*?action=create', 'repo:a.b.c?action=update'],
    ['repo:*?action=create', 'repo:a.b.c'],
    ['repo:a.b.c', 'repo:*'],
    ['repo:a.b.c?action=create repo:d.e.f?action=update', 'repo:a.b.c?action=update'],
    ['blob:image/*', 'blob:imagex/png'],
    ['blob:image/png', 'blob:image/*'],
    ['account:email', 'account:email?action=manage'],
    ['account:repo?action=manage', 'account:email'],
    ['identity:handle', 'identity:*'],
    ['rpc:a.b.c?aud=*', 'rpc:a.b.d?aud=*'],
    ['repo:rpc', 'rpc:a.b.c?aud=*'],
  ])('15.11 %s has not %s', (granted, wanted) => {
    expect(covers(granted, wanted)).toBe(false)
  })

  test('15.14 a service is its exact reference: neither its bare DID nor another DID of it', () => {
    const wanted = `rpc:a.b.c?aud=${SVC}`
    expect(covers('rpc:a.b.c?aud=did:web:x.y', wanted)).toBe(false)
    expect(covers('rpc:a.b.c?aud=did:web:y.x%23svc', wanted)).toBe(false)
    expect(covers('rpc:a.b.c?aud=did:web:x.y%23other', wanted)).toBe(false)
    expect(covers('rpc:a.b.c?aud=did:web:x.y#svc', wanted)).toBe(true)
  })
})
