import { describe, expect, test } from 'vitest'
import { OAuthError } from '../../src/errors.ts'
import { createFakeWorld, type FakeWorld, json } from '../support/fake-atproto.ts'
import { html, redirect } from '../support/fake-bodies.ts'
import { at, did, found, notOk, planted } from './support.ts'

const RESOURCE = '/.well-known/oauth-protected-resource'
const SERVER = '/.well-known/oauth-authorization-server'

describe('the PDS and what stands in front of it, planted one at a time', () => {
  const prm = (change: object) => (w: FakeWorld) => {
    w.faults.mutateProtectedResource = (d) => ({ ...d, ...change })
  }
  const passOn =
    /forward \/\.well-known\/oauth-\* to the PDS[\s\S]*handle \/\.well-known\/oauth-\*[\s\S]*location \^~ \/\.well-known\/oauth- /
  const ownName =
    /PDS_HOSTNAME=pds\.fake\.dev[\s\S]*header_up Host \{host\}[\s\S]*proxy_set_header X-Forwarded-Proto https;/
  planted(did, [
    {
      name: 'nobody answers',
      plant: (w) => {
        w.faults.httpFault = ({ url }) => (url.startsWith(w.pds) ? 'unreachable' : undefined)
      },
      finds: ['broken PDS'],
      fix: /firewall/,
    },
    {
      name: 'a web page is in the place of /xrpc/',
      plant: (w) => {
        w.faults.httpFault = ({ url }) => (url.includes('/xrpc/') ? html() : undefined)
      },
      finds: ['broken PDS'],
      fix: /location \^~ \/xrpc\/ /,
    },
    {
      name: 'the proxy is up and the PDS is not',
      plant: (w) => {
        w.faults.httpFault = ({ url }) => (url.startsWith(w.pds) ? html(502) : undefined)
      },
      finds: ['broken PDS', 'broken PDS metadata', 'broken server metadata'],
      fix: /start the PDS/,
    },
    {
      name: '3.6 the well-known path is kept from the PDS: its own server is looked for all the same',
      plant: at(RESOURCE, () => html(404)),
      finds: ['broken PDS metadata'],
      fix: passOn,
    },
    {
      name: '3.2 HTML instead of JSON',
      plant: at(RESOURCE, () => html()),
      finds: ['broken PDS metadata'],
      fix: passOn,
    },
    {
      name: '3.2 a redirect to another host',
      plant: at(RESOURCE, () => redirect(301, 'https://www.fake.dev/')),
      finds: ['broken PDS metadata'],
      fix: /instead of redirecting it to https:\/\/www\.fake\.dev\/[\s\S]*location/,
    },
    {
      name: '3.3 the wrong scheme, and the way goes on',
      plant: prm({ resource: 'http://pds.fake.dev' }),
      finds: ['broken PDS metadata'],
      says: /would name another server/,
      fix: ownName,
    },
    {
      name: '3.3 the wrong host, and the way goes on',
      plant: prm({ resource: 'https://localhost:3000' }),
      finds: ['broken PDS metadata'],
      fix: ownName,
    },
    {
      name: '3.3 a slash too many',
      plant: prm({ resource: 'https://pds.fake.dev/' }),
      finds: ['broken PDS metadata'],
      fix: /must be exactly https:\/\/pds\.fake\.dev:/,
    },
    {
      name: '3.4 two servers',
      plant: prm({ authorization_servers: ['https://as.fake.dev', 'https://b.fake.dev'] }),
      finds: ['broken PDS metadata'],
      fix: /a list of one https origin/,
    },
    {
      name: '3.5 a server by http',
      plant: prm({ authorization_servers: ['http://pds.fake.dev'] }),
      finds: ['broken PDS metadata'],
      fix: ownName,
    },
    {
      name: '3.8 a server that only its own machine knows',
      plant: prm({ authorization_servers: ['https://localhost:3000'] }),
      finds: ['broken server metadata'],
      fix: ownName,
    },
  ])
})

describe('4 the authorization server, rule by rule', () => {
  const asm = (change: object) => (w: FakeWorld) => {
    w.faults.mutateAuthorizationServer = (d) => ({ ...d, ...change })
  }
  const ownName = /PDS_HOSTNAME=as\.fake\.dev/
  const one = ['broken server metadata']
  const rules: [row: string, change: object][] = [
    ['4.5', { response_types_supported: ['token'] }],
    ['4.6', { grant_types_supported: ['authorization_code'] }],
    ['4.7', { code_challenge_methods_supported: ['plain'] }],
    ['4.8', { token_endpoint_auth_methods_supported: ['none'] }],
    ['4.9', { token_endpoint_auth_signing_alg_values_supported: ['ES256', 'none'] }],
    ['4.10', { scopes_supported: 'atproto' }],
    ['4.11', { authorization_response_iss_parameter_supported: undefined }],
    ['4.12', { require_pushed_authorization_requests: false }],
    ['4.13', { dpop_signing_alg_values_supported: ['RS256'] }],
    ['4.14', { client_id_metadata_document_supported: undefined }],
    ['4.15', { require_request_uri_registration: false }],
    ['4.16', { protected_resources: ['https://other.fake.dev'] }],
  ]
  planted(did, [
    ...rules.map(([row, change]) => ({
      name: `${row} ${JSON.stringify(change)}`,
      plant: asm(change),
      finds: one,
      says: RegExp(Object.keys(change)[0]!),
      fix: /update it, or to correct/,
    })),
    {
      name: 'two at once are two findings',
      plant: asm({ scopes_supported: [], dpop_signing_alg_values_supported: [] }),
      finds: [...one, ...one],
    },
    { name: '4.2 the wrong scheme', plant: asm({ issuer: 'http://as.fake.dev' }), finds: one, fix: ownName },
    { name: '4.2 the wrong host', plant: asm({ issuer: 'https://10.0.0.2' }), finds: one, fix: ownName },
    {
      name: '4.4 an endpoint by http',
      plant: asm({ token_endpoint: 'http://as.fake.dev/oauth/token' }),
      finds: one,
      fix: ownName,
    },
    {
      name: '4.4 endpoints that only its own machine knows',
      plant: asm({ pushed_authorization_request_endpoint: 'https://localhost:3000/oauth/par' }),
      finds: ['warning server metadata', 'broken pushed request'],
      fix: /as its own/,
    },
    {
      name: '4.1 not there',
      plant: at(SERVER, () => html(404)),
      finds: one,
      fix: /location \^~ \/\.well-known\/oauth-/,
    },
    { name: '4.1 HTML', plant: at(SERVER, () => html()), finds: one, fix: /location \^~ \/\.well-known\/oauth-/ },
  ])
})

describe('7 the pushed request', () => {
  const refused = (error: string, error_description: string, status = 400) =>
    at('/oauth/par', () => json(status, { error, error_description }))
  const one = ['broken pushed request']
  planted(did, [
    {
      name: '23.3 a proxy that does not say how it was called',
      plant: refused('invalid_dpop_proof', 'DPoP "htu" mismatch', 401),
      finds: one,
      fix: /proxy_set_header X-Forwarded-Proto https;/,
    },
    {
      name: 'a path that is kept from it',
      plant: at('/oauth/par', () => html(404)),
      finds: one,
      fix: /location \^~ \/oauth\/ /,
    },
    {
      name: 'a path that takes no POST',
      plant: at('/oauth/par', () => html(405)),
      finds: one,
      fix: /location \^~ \/oauth\/ /,
    },
    {
      name: 'the server’s own refusal',
      plant: refused('invalid_scope', 'no such'),
      finds: one,
      says: /invalid_scope "no such"/,
    },
    { name: 'a bad gateway', plant: at('/oauth/par', () => html(502)), finds: one, fix: /start the PDS/ },
  ])
})

test('3.6, 4.20 a PDS without its metadata is found, whatever its server lists; a server alone needs none', async () => {
  const world = createFakeWorld({ topology: 'together' })
  at(RESOURCE, () => html(404))(world)
  expect(notOk(await found(world, world.pds)).map(({ topic }) => topic)).toStrictEqual(['PDS metadata'])
  for (const listed of [undefined, [], ['http://localhost:3000'], ['https://other.fake.dev']]) {
    world.faults.mutateAuthorizationServer = (d) => ({ ...d, protected_resources: listed })
    const topics = new Set(notOk(await found(world, world.pds)).map(({ topic }) => topic))
    expect(topics, JSON.stringify(listed)).toContain('PDS metadata')
  }
  const apart = createFakeWorld()
  expect(notOk(await found(apart, apart.as))).toStrictEqual([])
})

test('a certificate that is not trusted is not a matter of the network', async () => {
  const world = createFakeWorld()
  world.faults.httpFault = ({ url }) => {
    if (!url.startsWith(world.pds)) return undefined
    throw new OAuthError('NETWORK_UNREACHABLE', 'pds.fake.dev cannot be reached: its TLS certificate has expired')
  }
  const [finding] = notOk(await found(world, world.alice.did))
  expect(finding).toMatchObject({ topic: 'PDS', fix: expect.stringContaining('renew the certificate') })
})

describe('26.14 the state of the account', () => {
  const state = (active: boolean, status?: string) => (w: FakeWorld) => {
    w.faults.repoStatus = { active, ...(status && { status }) }
  }
  const STATUS = '/xrpc/com.atproto.sync.getRepoStatus'
  const one = ['broken account']
  planted(did, [
    { name: 'deactivated', plant: state(false, 'deactivated'), finds: one, says: /deactivated/, fix: /reactivate/ },
    {
      name: 'taken down',
      plant: state(false, 'takendown'),
      finds: one,
      says: /takendown/,
      fix: /operator of .*appeal/,
    },
    { name: 'a state of its own', plant: state(false, 'x\u001b[31m'), finds: one, fix: /operator/ },
    { name: 'none said', plant: state(false), finds: one, says: /no reason given/ },
    { name: 'throttled', plant: state(false, 'throttled'), finds: ['warning account'] },
    {
      name: 'no repository',
      plant: at(STATUS, () => json(400, { error: 'RepoNotFound', message: 'Could not find repo' })),
      finds: one,
      says: /no repository of did:plc:/,
      fix: /complete the move/,
    },
    { name: 'a PDS without the method', plant: at(STATUS, () => json(501, { error: 'x' })), finds: [] },
    { name: 'a web page', plant: at(STATUS, () => html()), finds: [] },
    { name: 'another error', plant: at(STATUS, () => json(400, { error: 'InvalidRequest' })), finds: [] },
  ])

  test('is asked for without a token, and told where it is well', async () => {
    const world = createFakeWorld()
    const findings = await found(world, world.alice.did)
    expect(findings.find(({ topic }) => topic === 'account')?.detail).toBe(
      `${world.alice.did} is active at ${world.pds}`,
    )
    const [asked] = world.requests.filter(({ url }) => url.includes('getRepoStatus'))
    expect(asked!.url).toContain(encodeURIComponent(world.alice.did))
    expect(asked!.headers).not.toHaveProperty('authorization')
  })
})

describe('a proxy that fails is the first fault', () => {
  const refused = new OAuthError('NETWORK_UNREACHABLE', 'cannot reach x: the proxy returned 407', {
    facts: { reason: 'proxy-refused', proxyStatus: 407 },
  })
  const throughIt = (world: FakeWorld, origin = '') => {
    world.faults.httpFault = ({ url }) => {
      if (url.startsWith(origin)) throw refused
      return undefined
    }
  }

  test.each([undefined, 'https://resolver.fake.dev'])(
    'before the spelling of the handle (resolver %s)',
    async (resolver) => {
      const world = createFakeWorld()
      throughIt(world)
      world.faults.txt = () => []
      const settings = { ...world.settings, handleResolver: resolver }
      const findings = await found({ ...world, settings }, 'alice.fake.dev')
      const wrong = findings.filter(({ verdict }) => verdict === 'broken')
      expect(wrong[0]).toMatchObject({ topic: 'proxy', fix: { facts: refused.facts } })
      expect(wrong.filter(({ topic }) => topic === 'proxy')).toHaveLength(1)
      expect(JSON.stringify(wrong)).not.toContain('spelling')
      expect(JSON.stringify(wrong)).not.toContain('handle-lookup-failed')
    },
  )

  test('is no fault where nothing needs it', async () => {
    const world = createFakeWorld()
    throughIt(world, 'https://alice.fake.dev')
    expect(notOk(await found(world, 'alice.fake.dev'))).toStrictEqual([])
  })
})
