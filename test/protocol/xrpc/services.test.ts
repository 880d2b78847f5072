import { expect, test } from 'vitest'
import { defaultService, serviceOf } from '../../../src/protocol/xrpc/services.ts'

test('19.2 chat has to be named, other services have a default', () => {
  expect(defaultService('chat.bsky.convo.listConvos')).toBe('did:web:api.bsky.chat#bsky_chat')
  expect(defaultService('app.bsky.feed.getTimeline')).toBeUndefined()
  expect(serviceOf('appview')).toBe('did:web:api.bsky.app#bsky_appview')
  expect(serviceOf('did:web:x.dev#y')).toBe('did:web:x.dev#y')
  expect(serviceOf('constructor')).toBe('constructor')
})
