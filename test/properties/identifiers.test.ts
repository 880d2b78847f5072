import fc from 'fast-check'
import { expect, test } from 'vitest'
import { chooseClient, parseLoopbackClientId } from '../../src/client/client-id.ts'
import type { Did } from '../../src/model.ts'
import {
  asDid,
  asHandle,
  asNsid,
  asOrigin,
  didWebHost,
  isDid,
  isReservedName,
  parseIdentifier,
} from '../../src/protocol/identity/syntax.ts'
import { missingScopes, parseScope, scopeTokens } from '../../src/protocol/scope/scope.ts'
import { buildXrpcRequest } from '../../src/protocol/xrpc/request.ts'
import { vectors } from '../protocol/helpers.ts'
import { answerOf, anyText, holds, spoiled } from './support.ts'

const PLC = 'did:plc:ewvi7nxzyoun6zhxrhs64oiz'
const HONEST = [
  'alice.fake.dev',
  '@Alice.Test',
  PLC,
  'did:web:example.com',
  'did:web:localhost%3A3000',
  'https://pds.fake.dev',
  'http://localhost:2583',
]
const typed = fc.oneof(
  anyText,
  spoiled(...HONEST, ...vectors('atidentifier_syntax_valid'), ...vectors('did_syntax_valid')),
)
const VISIBLE = /^[\x21-\x7e]+$/

test('1.1, 1.21 whatever is typed is an identifier or refused by one of our codes', () => {
  holds(
    fc.property(typed, fc.boolean(), (text, dev) => {
      const identifier = answerOf(() => parseIdentifier(text, dev))
      if (!identifier) return
      const canonical =
        identifier.kind === 'handle'
          ? identifier.handle
          : identifier.kind === 'did'
            ? identifier.did
            : identifier.origin
      expect(canonical).toMatch(VISIBLE)
      expect(parseIdentifier(canonical, dev)).toStrictEqual(identifier)
    }),
  )
})

test('1.5 nothing but ASCII becomes a handle, a DID, an NSID or an origin', () => {
  holds(
    fc.property(typed, fc.boolean(), (text, dev) => {
      const accepted = [
        asHandle(text),
        asDid(text, dev),
        asNsid(text),
        asOrigin(text, dev),
        isDid(text) ? text : undefined,
      ]
      for (const value of accepted.filter((one) => one !== undefined)) {
        expect(text).toMatch(VISIBLE)
        expect([text, text.toLowerCase()]).toContain(value)
      }
      isReservedName(text, dev)
      const host = didWebHost(text, dev)
      if (host !== undefined) expect(new URL(`https://${host}`).host).toBe(host)
    }),
  )
})

test('1.3 every name of good labels is a handle, in any mix of cases', () => {
  const letter = fc.constantFrom(...'abcxyzABCXYZ')
  const inner = fc.constantFrom(...'abcxyzABCXYZ0189-')
  const label = fc
    .tuple(letter, fc.array(inner, { maxLength: 10 }), letter)
    .map(([first, middle, last]) => first + middle.join('') + last)
  holds(
    fc.property(fc.array(label, { minLength: 1, maxLength: 6 }), letter, (labels, end) => {
      const handle = [...labels, end].join('.')
      expect(asHandle(handle)).toBe(handle.toLowerCase())
    }),
  )
})

test('15.1 whatever is asked for is a scope with atproto in it, or refused', () => {
  holds(
    fc.property(fc.oneof(anyText, spoiled('atproto transition:generic', 'repo:*?action=create blob:*/*')), (text) => {
      const scope = answerOf(() => parseScope(text))
      if (scope === undefined) return
      const tokens = scopeTokens(scope)
      expect(tokens).toContain('atproto')
      expect(new Set(tokens).size).toBe(tokens.length)
      expect(parseScope(scope)).toBe(scope)
      expect(missingScopes(scope, scope)).toStrictEqual([])
    }),
  )
})

test('what the server granted may be any text', () => {
  holds(
    fc.property(anyText, anyText, (requested, granted) => {
      for (const token of missingScopes(requested, granted)) expect(scopeTokens(requested)).toContain(token)
    }),
  )
})

const REDIRECTS = [
  'http://127.0.0.1/callback',
  'http://[::1]:8080/',
  'https://app.example.com/callback',
  'com.example.app:/callback',
]
const CLIENTS = [
  'https://app.example.com/client.json',
  'http://localhost',
  'http://localhost?redirect_uri=http%3A%2F%2F127.0.0.1%2F&scope=atproto',
]

test('5.1, 5.10 whatever client is asked for is one that could be sent, or refused', () => {
  const orNothing = (text: fc.Arbitrary<string>) => fc.option(text, { nil: undefined })
  const choice = fc.record({
    clientId: orNothing(fc.oneof(fc.constantFrom(...CLIENTS), spoiled(...CLIENTS), anyText)),
    redirectUri: orNothing(fc.oneof(fc.constantFrom(...REDIRECTS), spoiled(...REDIRECTS), anyText)),
    scope: orNothing(fc.oneof(fc.constant('atproto'), anyText)),
  })
  holds(
    fc.property(choice, (wanted) => {
      const client = answerOf(() => chooseClient(wanted))
      if (!client) return
      expect(client.clientId).toBe(wanted.clientId ?? client.clientId)
      expect(client.redirectUri).toBe(wanted.redirectUri ?? client.redirectUri)
      expect(client.clientId + client.redirectUri).toMatch(VISIBLE)
      if (wanted.clientId !== undefined) return
      const { redirectUri, scope } = client
      expect(parseLoopbackClientId(client.clientId)).toStrictEqual({ redirectUris: [redirectUri], scope })
    }),
  )
})

test('18.1 whatever is called goes to its own path below /xrpc/, or nowhere', () => {
  const nsid = fc.oneof(anyText, spoiled('com.atproto.server.getSession'), fc.constant('com.atproto.server.getSession'))
  const parameters = fc.array(fc.tuple(anyText, anyText), { maxLength: 3 })
  const headers = fc.dictionary(fc.oneof(anyText, fc.constantFrom('accept', 'Host', 'DPoP', '__proto__')), anyText, {
    maxKeys: 2,
  })
  holds(
    fc.property(nsid, parameters, headers, fc.option(anyText, { nil: undefined }), (method, pairs, fields, body) => {
      const request = answerOf(() =>
        buildXrpcRequest({ nsid: method, parameters: pairs, headers: fields, body }, PLC as Did),
      )
      if (!request) return
      const url = new URL(request.path, 'https://pds.fake.dev')
      expect([url.origin, url.pathname]).toStrictEqual(['https://pds.fake.dev', `/xrpc/${method}`])
      expect([...url.searchParams]).toStrictEqual(pairs.map(([name, value]) => [name, value.replaceAll('{did}', PLC)]))
      new Headers(request.headers) // takes them all
    }),
  )
})
