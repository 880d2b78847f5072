/**
 * Pushes an authorization request that is never used, to see whether the server accepts the client, and checks the
 * client's document.
 */
import { checkClient } from '../client/check.ts'
import { type ClientChoice, chooseClient, LOOPBACK_REDIRECT } from '../client/client-id.ts'
import type { AuthorizationServer, Client } from '../model.ts'
import type { Finding, Network, Settings } from '../ports.ts'
import { createPkce, createState } from '../protocol/oauth/authorization-request.ts'
import { identifyClient } from '../protocol/oauth/client-auth.ts'
import { generateDpopJwk, importDpopKey } from '../protocol/oauth/dpop.ts'
import { OAuthServerAgent } from '../protocol/oauth/server-agent.ts'
import { attempt, broken, failed, isSilence, type Outcome, ok, warning } from './check.ts'
import { ownNameFix, passOnFix } from './gateway.ts'
import type { Watched } from './watch.ts'

type Ports = Watched<Network & { readonly settings: Settings }>

/**
 * The configured hosted client, or else the loopback client that `init` uses.
 *
 * @throws {OAuthError} `CLIENT_INVALID`, `SCOPE_INVALID`
 */
export function clientToTry({ clientId, redirectUri, scope }: ClientChoice): Client {
  if (!clientId?.startsWith('https:')) return chooseClient({ scope })
  const hosted = chooseClient({ clientId, redirectUri: redirectUri ?? LOOPBACK_REDIRECT, scope })
  return redirectUri === undefined ? chooseClient({ scope }) : hosted
}

/** The request expires at the server within minutes; its key, verifier and state are not stored. */
export async function checkPush(server: AuthorizationServer, client: Client, ports: Ports): Promise<Finding> {
  const topic = 'pushed request'
  const url = server.pushed_authorization_request_endpoint
  const { value, error, milliseconds } = await attempt(() => push(server, client, ports), ports)
  const who = client.clientId.startsWith('https:') ? client.clientId : 'the loopback client'
  if (!error) {
    const detail = `${server.issuer} accepted a request of ${who}, which expires in ${value.expiresInSeconds} seconds`
    return ok({ topic, detail, milliseconds })
  }
  return failed(topic, error, milliseconds, pushFix(url, error, ports))
}

function pushFix(url: string, error: NonNullable<Outcome<unknown>['error']>, { watch }: Ports): string | undefined {
  const { origin, pathname } = new URL(url)
  if (error.code === 'ADDRESS_REFUSED') return ownNameFix(origin)
  if (isSilence(error)) return undefined
  // The server compares `htu` with its own URL as its proxy forwards it.
  if (/\bhtu\b/i.test(error.message)) return ownNameFix(origin)
  const response = watch.responseFrom(url)
  if (response?.mediaType === 'application/json' && response.status < 500) return undefined
  return passOnFix(url, pathname.replace(/[^/]*$/, ''), response)
}

async function push(server: AuthorizationServer, client: Client, ports: Ports) {
  const identity = identifyClient(client.clientId, ports.settings.clientJwk)
  const key = await importDpopKey(await generateDpopJwk())
  const agent = OAuthServerAgent.withKey({ server, client: identity, key }, ports)
  const { redirectUri, scope } = client
  const { codeChallenge } = await createPkce(ports)
  return agent.par({ redirectUri, scope, state: createState(ports), codeChallenge })
}

/** The findings of `client check` for a hosted client. A loopback client has no document. */
export async function* checkDocument(choice: ClientChoice, ports: Ports): AsyncGenerator<Finding> {
  const topic = 'client document'
  const { clientId, redirectUri, scope } = choice
  if (!clientId?.startsWith('https:')) return
  const check = () => checkClient({ clientId, redirectUri, scope }, ports)
  const { value, error, milliseconds } = await attempt(check, ports)
  if (error) yield failed(topic, error, milliseconds)
  else if (value.findings.length === 0) yield ok({ topic, detail: `${clientId} follows every rule`, milliseconds })
  for (const { level, message, consequence, fix } of value?.findings ?? []) {
    const found = { topic, detail: `${message}: ${consequence}`, fix, milliseconds }
    yield level === 'error' ? broken(found) : warning(found)
  }
}
