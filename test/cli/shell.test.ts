import { describe, expect, test } from 'vitest'
import { callCommandLine } from '../../src/cli/shell.ts'
import { findMethod, needsOf } from '../../src/protocol/xrpc/lexicons.ts'

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
