import { describe, test } from 'vitest'
import type { ErrorCode } from '../../src/errors.ts'
import type { Json } from '../../src/testing/http.ts'
import { type FakeWorld, type Fault, json } from '../support/fake-atproto.ts'
import { brokenOff, endless, fattened, html, JSON_TYPE, redirect, retyped } from '../support/fake-bodies.ts'
import {
  at,
  COMPLETE,
  completeRefused,
  consented,
  INIT,
  initRefused,
  REFRESH,
  refreshRefused,
  type Stage,
  signedIn,
  steadyWorld,
  upTo,
} from './flows.ts'

const [PDS, AS, EVIL] = ['https://pds.fake.dev', 'https://as.fake.dev', 'https://evil.fake.dev']
type Spoil = (world: FakeWorld) => void

async function stopsInit(stage: 'prm' | 'asm', spoil: Spoil, code: ErrorCode) {
  const world = steadyWorld()
  spoil(world)
  await initRefused(world, code, upTo(INIT, stage))
}

/** The same fault at each step that reads the document; in all of them it stops the flow there. */
async function stopsEveryStep(stage: 'prm' | 'asm', spoil: Spoil, code: ErrorCode) {
  await stopsInit(stage, spoil, code)

  const second = steadyWorld()
  const login = await consented(second)
  spoil(second)
  await completeRefused(second, login, { code, sent: upTo(COMPLETE, stage), login: 'open' })

  const third = steadyWorld()
  const credentials = await signedIn(third)
  spoil(third)
  await refreshRefused(third, credentials, { code, session: 'alive', sent: upTo(REFRESH, stage) })
}

describe.each(['prm', 'asm'] as const)('in transit: %s', (stage) => {
  test.each<[string, () => Fault, ErrorCode]>([
    ['3.2 201', () => (answer) => new Response(answer.body, { status: 201, headers: JSON_TYPE }), 'METADATA_INVALID'],
    ['3.2 204', () => new Response(null, { status: 204 }), 'METADATA_INVALID'],
    ['3.2 301 to the same elsewhere', () => redirect(301, `${EVIL}/metadata`), 'METADATA_INVALID'],
    ['3.2 307 to this machine', () => redirect(307, 'https://127.0.0.1/'), 'METADATA_INVALID'],
    ['3.2 text/json', () => retyped('text/json'), 'METADATA_INVALID'],
    ['3.2 HTML', () => html(), 'METADATA_INVALID'],
    ['3.2 HTML that says JSON', () => new Response('<html>', { headers: JSON_TYPE }), 'METADATA_INVALID'],
    ['3.2 a list', () => json(200, []), 'METADATA_INVALID'],
    ['20.2 ten megabytes', () => fattened, 'METADATA_INVALID'],
    ['20.2 never-ending', () => endless().answer, 'METADATA_INVALID'],
    ['20.2 one byte a second', () => brokenOff(), 'NETWORK_LOST'],
    ['403', () => html(403), 'METADATA_INVALID'],
    ['429', () => html(429), 'RATE_LIMITED'],
    ['502', () => html(502), 'SERVER_UNAVAILABLE'],
    ['dropped', () => 'lostBefore', 'NETWORK_LOST'],
    ['unreachable', () => 'unreachable', 'NETWORK_UNREACHABLE'],
    ['3.6 404', () => html(404), 'OAUTH_UNSUPPORTED'],
  ])('%s', (_, fault, code) =>
    stopsEveryStep(
      stage,
      (world) => {
        world.faults.httpFault = at(stage, fault)
      },
      code,
    ),
  )
})

/** Every member with every kind of value that it must not have. */
const OTHER_TYPES = [undefined, null, 7, true, {}, []]
const spellings = (url: string) => [
  `${url}/`,
  url.replace('.fake', '.FAKE'),
  url.replace('https:', 'http:'),
  url.replace('https:', 'HTTPS:'),
  `${url}:443`,
  `${url}:8443`,
  `${url}/.`,
  `${url}?`,
  `${url}#`,
  url.replace('//', '//u:p@'),
  EVIL,
]
const badOrigin = (url: string) => [...OTHER_TYPES, '', 'as.fake.dev', ...spellings(url)]
const badEndpoint = [undefined, null, 7, {}, [], '', '/oauth/par', 'http://as.fake.dev/x', 'javascript:0', `${AS}/x#y`]
const badList = [undefined, null, 7, {}, [], 'S256', [[]], [null]]

const PRM: [string, string, unknown[]][] = [
  ['3.3', 'resource', badOrigin(PDS).filter((value) => value !== EVIL)],
  ['3.3', 'resource', [EVIL, AS, [PDS]]],
  ['3.4', 'authorization_servers', [...OTHER_TYPES, AS, [AS, EVIL], [AS, AS], [[AS]], [null]]],
  [
    '3.5',
    'authorization_servers',
    spellings(AS)
      .slice(0, 5)
      .map((value) => [value]),
  ],
]
const ASM: [string, string, unknown[]][] = [
  ['4.2', 'issuer', badOrigin(AS)],
  ['4.4', 'authorization_endpoint', badEndpoint],
  ['4.4', 'token_endpoint', badEndpoint],
  ['4.4', 'pushed_authorization_request_endpoint', badEndpoint],
  ['4.4', 'revocation_endpoint', badEndpoint.slice(1)],
  ['4.5', 'response_types_supported', badList],
  ['4.6', 'grant_types_supported', badList],
  ['4.7', 'code_challenge_methods_supported', [...badList.filter((value) => value !== 'S256'), ['plain']]],
  ['4.8', 'token_endpoint_auth_methods_supported', badList],
  ['4.9', 'token_endpoint_auth_signing_alg_values_supported', [...badList, ['ES256', 'none']]],
  ['4.10', 'scopes_supported', badList],
  ['4.11', 'authorization_response_iss_parameter_supported', [undefined, false, null, 'true', 1]],
  ['4.12', 'require_pushed_authorization_requests', [undefined, false, null, 'true', 1]],
  ['4.13', 'dpop_signing_alg_values_supported', [...badList, ['RS256']]],
  ['4.14', 'client_id_metadata_document_supported', [undefined, false, null, 'true', 1]],
]

describe('protected-resource metadata', () => {
  test.each(PRM)('%s %s', async (_, field, values) => {
    const spoil = (value: unknown) => (world: FakeWorld) => {
      world.faults.mutateProtectedResource = (document) => ({ ...document, [field]: value })
    }
    await stopsEveryStep('prm', spoil(values[0]), 'METADATA_INVALID')
    for (const value of values) await stopsInit('prm', spoil(value), 'METADATA_INVALID')
  })

  test('3.8 an authorization server on this network: refused by the guard', async () => {
    const world = steadyWorld()
    world.faults.mutateProtectedResource = (document) => ({ ...document, authorization_servers: ['https://10.0.0.1'] })
    await initRefused(world, 'ADDRESS_REFUSED', upTo(INIT, 'prm'))
  })
})

describe('authorization-server metadata', () => {
  test.each(ASM)('%s %s', async (_, field, values) => {
    const spoil = (value: unknown) => (world: FakeWorld) => {
      world.faults.mutateAuthorizationServer = (document) => ({ ...document, [field]: value })
    }
    await stopsEveryStep('asm', spoil(values[0]), 'METADATA_INVALID')
    for (const value of values) await stopsInit('asm', spoil(value), 'METADATA_INVALID')
  })

  test('4.16 it does not serve this PDS', async () => {
    const world = steadyWorld()
    world.faults.mutateAuthorizationServer = (document) => ({ ...document, protected_resources: [EVIL] })
    await initRefused(world, 'METADATA_INVALID', upTo(INIT, 'asm'))
  })

  test.each<[Stage, string]>([
    ['par', 'pushed_authorization_request_endpoint'],
    ['exchange', 'token_endpoint'],
    ['refresh', 'token_endpoint'],
  ])('4.4 the endpoint for %s on this machine: refused by the guard, nothing sent', async (stage, field) => {
    const mutate = (document: Json) => ({ ...document, [field]: 'https://127.0.0.1/oauth' })
    const world = steadyWorld()
    if (stage === 'par') {
      world.faults.mutateAuthorizationServer = mutate
      await initRefused(world, 'ADDRESS_REFUSED', upTo(INIT, 'asm'))
    } else if (stage === 'exchange') {
      const login = await consented(world)
      world.faults.mutateAuthorizationServer = mutate
      await completeRefused(world, login, { code: 'ADDRESS_REFUSED', sent: upTo(COMPLETE, 'prm'), login: 'open' })
    } else {
      const credentials = await signedIn(world)
      world.faults.mutateAuthorizationServer = mutate
      const sent = upTo(REFRESH, 'asm')
      await refreshRefused(world, credentials, { code: 'ADDRESS_REFUSED', session: 'alive', sent })
    }
  })
})
