/**
 * What the tests of src/protocol/ share: the syntax vectors, errors as values, a signing fetch of a fake world.
 */
import { readFileSync } from 'node:fs'
import { isOAuthError, type OAuthError } from '../../src/errors.ts'
import type { AuthorizationServer, Origin, PendingAuthorization } from '../../src/model.ts'
import { generateDpopJwk, importDpopKey } from '../../src/protocol/oauth/dpop.ts'
import { createDpopFetch } from '../../src/protocol/oauth/dpop-fetch.ts'
import { OAuthServerAgent } from '../../src/protocol/oauth/server-agent.ts'
import type { FakeWorld } from '../support/fake-atproto.ts'

/** The lines of one file of test/vectors; not trimmed, for a space too many is what some of them are about. */
export function vectors(name: string): string[] {
  const lines = readFileSync(new URL(`../vectors/${name}.txt`, import.meta.url), 'utf8').split('\n')
  return lines.filter((line) => line !== '' && !line.startsWith('#'))
}

/** The {@link OAuthError} that `run` ends with; anything else, success included, fails the test. */
export async function failure(run: () => unknown): Promise<OAuthError> {
  let result: unknown
  try {
    result = await run()
  } catch (error) {
    if (isOAuthError(error)) return error
    throw error
  }
  throw new Error(`nothing was thrown, the result is ${JSON.stringify(result)}`)
}

/** The metadata of the fake authorization server, as already checked. */
export function serverOf({ as }: FakeWorld): AuthorizationServer {
  return {
    issuer: as as Origin,
    authorization_endpoint: `${as}/oauth/authorize`,
    token_endpoint: `${as}/oauth/token`,
    pushed_authorization_request_endpoint: `${as}/oauth/par`,
    revocation_endpoint: `${as}/oauth/revoke`,
  }
}

/** An agent of the fake authorization server, with a new DPoP key. */
export async function agentOf(world: FakeWorld, changes: Partial<AgentChanges> = {}): Promise<OAuthServerAgent> {
  const { server = serverOf(world), clientId = pendingOf(world).clientId } = changes
  const dpopFetch = createDpopFetch(await importDpopKey(await generateDpopJwk()), {}, world)
  return new OAuthServerAgent({ server, client: { clientId }, dpopFetch }, world)
}

interface AgentChanges {
  readonly server: AuthorizationServer
  readonly clientId: string
}

/** An agent whose requests are all answered with this. */
export function answeredAgent(world: FakeWorld, answer: () => Response, server = serverOf(world)): OAuthServerAgent {
  const dpopFetch = Object.assign(async () => answer(), {
    nonces: () => ({}),
    now: world.now,
    isNonceCurrent: () => true,
    attempt: async () => answer(),
  })
  return new OAuthServerAgent({ server, client: { clientId: pendingOf(world).clientId }, dpopFetch }, world)
}

export function pendingOf(world: FakeWorld, changes: Partial<PendingAuthorization> = {}): PendingAuthorization {
  return {
    version: 1,
    status: 'pending',
    state: 'c3RhdGUtb2YtdGhlLXRlc3Q',
    issuer: world.as as Origin,
    clientId: 'http://localhost?redirect_uri=http%3A%2F%2F127.0.0.1%2Fcallback&scope=atproto',
    redirectUri: 'http://127.0.0.1/callback',
    scope: 'atproto',
    codeVerifier: 'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk',
    dpopPrivateJwk: { kty: 'EC', crv: 'P-256', x: '', y: '', d: '' },
    did: world.alice.did,
    nonces: {},
    createdAt: world.now(),
    requestExpiresAt: world.now() + 300_000,
    expiresAt: world.now() + 3_600_000,
    ...changes,
  }
}
