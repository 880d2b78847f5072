import { describe, expect, test } from 'vitest'
import { callCommandLine, initCommandLine } from '../../src/cli/shell.ts'
import { findMethod, needsOf } from '../../src/protocol/xrpc/lexicons.ts'

describe('the same login again', () => {
  const loopback = (redirectUri: string) =>
    `http://localhost?${new URLSearchParams({ redirect_uri: redirectUri, scope: 'atproto repo:*' })}`
  const alice = { handle: 'alice.dev' }
  test.each([
    ['no account is known', {}, 'alice.bsky.social'],
    [
      'the scope is in the client_id',
      { ...alice, scope: '', clientId: loopback('http://127.0.0.1/callback') },
      "alice.dev --scope 'atproto repo:*'",
    ],
    [
      'its own loopback redirect URI',
      { ...alice, clientId: loopback('http://127.0.0.1:8080/done') },
      "alice.dev --scope 'atproto repo:*' --redirect-uri http://127.0.0.1:8080/done",
    ],
    [
      'the port that the system chose for `login`',
      { ...alice, scope: 'atproto', clientId: loopback('http://127.0.0.1:40404/callback') },
      'alice.dev',
    ],
    [
      'a hosted client',
      { ...alice, clientId: 'https://a.dev/c.json?scope=x', redirectUri: 'https://a.dev/' },
      "alice.dev --client-id 'https://a.dev/c.json?scope=x' --redirect-uri https://a.dev/",
    ],
  ])('%s', (_, login, words) => expect(initCommandLine(login)).toBe(`atproto-oauth init ${words}`))
})

describe('a request of a method, to be filled in', () => {
  test.each([
    ['com.atproto.server.getSession', 'atproto-oauth call com.atproto.server.getSession'],
    [
      'com.atproto.repo.listRecords',
      'atproto-oauth call com.atproto.repo.listRecords repo={did} collection=app.bsky.feed.post',
    ],
    ['app.bsky.actor.getProfile', 'atproto-oauth call app.bsky.actor.getProfile actor={handle}'],
    [
      'com.atproto.repo.createRecord',
      'atproto-oauth call com.atproto.repo.createRecord repo={did} collection=app.bsky.feed.post record:=\'{"$type":"app.bsky.feed.post","text":"Hello","createdAt":"2026-01-01T00:00:00Z"}\'',
    ],
    ['com.atproto.repo.uploadBlob', 'atproto-oauth call com.atproto.repo.uploadBlob --upload picture.png'],
  ])('%s', (nsid, line) => expect(callCommandLine(needsOf(findMethod(nsid)!))).toBe(line))
})
