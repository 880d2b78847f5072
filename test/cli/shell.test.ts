import { describe, expect, test } from 'vitest'
import { callCommandLine } from '../../src/cli/shell.ts'
import { findMethod, needsOf } from '../../src/protocol/xrpc/lexicons.ts'

describe('a request of a method, to be filled in', () => {
  test.each([
    ['com.atproto.server.getSession', 'atproto-oauth call com.atproto.server.getSession'],
    ['com.atproto.repo.listRecords', 'atproto-oauth call com.atproto.repo.listRecords repo={did} collection=…'],
    ['app.bsky.actor.getProfile', 'atproto-oauth call app.bsky.actor.getProfile actor={handle}'],
    [
      'com.atproto.repo.createRecord',
      "atproto-oauth call com.atproto.repo.createRecord repo={did} collection=… record:='{…}'",
    ],
    ['com.atproto.repo.uploadBlob', 'atproto-oauth call com.atproto.repo.uploadBlob --upload FILE'],
  ])('%s', (nsid, line) => expect(callCommandLine(needsOf(findMethod(nsid)!))).toBe(line))
})
