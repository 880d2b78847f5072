/**
 * The methods of a front that sign a program in, in place of the PDS: the same input, output and errors as the reference
 * server's.
 */
import type { OAuthError } from '../errors.ts'
import type { Did, Handle } from '../model.ts'
import type { Clock, LocalRequest, LocalResponse, Random } from '../ports.ts'
import { parseJsonObject } from '../protocol/http/response.ts'
import { type CheckedToken, createLocalTokens, isSecret, type TokenKind } from './local-tokens.ts'
import { jsonResponse, xrpcFailure } from './xrpc-response.ts'

export interface LocalAccount {
  readonly did: Did
  readonly handle: Handle | undefined
  readonly password: string
  /** Origin of the front. */
  readonly origin: string
  /** Why the session ended, if it did. */
  readonly death: () => OAuthError | undefined
}

/** Bytes; anybody on this machine can send a sign-in. */
const SIGN_IN_MOST = 16 * 1024

export type LocalMethod = (request: LocalRequest) => Promise<LocalResponse>

export interface LocalMethods {
  /** `undefined` for a method of the PDS. */
  readonly method: (nsid: string) => { readonly verb: 'GET' | 'POST'; readonly run: LocalMethod } | undefined
  /** What is wrong with the access token of a request. */
  readonly refuse: (request: LocalRequest) => Promise<LocalResponse | undefined>
}

export function createLocalMethods(account: LocalAccount, ports: Clock & Random): LocalMethods {
  const { did, origin } = account
  const frontDid = didOf(origin)
  const tokens = createLocalTokens({ did, audience: frontDid }, ports)
  // Without a DID document: programs would send their requests to the PDS that it names.
  const user = { did, handle: account.handle ?? 'handle.invalid', active: true }

  const authenticate = async (request: LocalRequest, kind: TokenKind): Promise<CheckedToken | LocalResponse> => {
    const header = request.headers['authorization']
    if (header === undefined) return xrpcFailure(401, 'AuthMissing', 'Authentication Required')
    const [, scheme = '', token = ''] = /^(\S+) (\S+)$/.exec(header) ?? []
    if (token === '') return xrpcFailure(400, 'InvalidToken', 'Malformed authorization header')
    if (scheme.toLowerCase() !== 'bearer') {
      return xrpcFailure(400, 'InvalidToken', `Unsupported authorization type: ${scheme}`)
    }
    return tokens.check(token, kind)
  }

  const authenticated =
    (
      kind: TokenKind,
      run: (id: string) => Promise<LocalResponse>,
      accepted: CheckedToken['fault'][] = [],
    ): LocalMethod =>
    async (request) => {
      const checked = await authenticate(request, kind)
      if ('status' in checked) return checked
      const { id, fault } = checked
      return fault === undefined || accepted.includes(fault) ? run(id) : FAULTS[fault]
    }

  const createSession: LocalMethod = async (request) => {
    const body = await request.smallBody(SIGN_IN_MOST)
    if (body instanceof ReadableStream) return xrpcFailure(413, 'PayloadTooLarge', 'request entity too large')
    const { identifier, password } = parseJsonObject(new TextDecoder().decode(body)) ?? {}
    if (typeof identifier !== 'string' || typeof password !== 'string') {
      const missing = typeof identifier === 'string' ? 'password' : 'identifier'
      return xrpcFailure(400, 'InvalidRequest', `Input must have the property "${missing}"`)
    }
    const name = identifier.replace(/^@/, '')
    const isUser = name === did || (account.handle !== undefined && name.toLowerCase() === account.handle)
    if (!isSecret(password, account.password) || !isUser) {
      return xrpcFailure(401, 'AuthenticationRequired', 'Invalid identifier or password')
    }
    const death = account.death()
    if (death) return xrpcFailure(401, 'AuthenticationRequired', death.message)
    return jsonResponse({ ...(await tokens.issue()), ...user })
  }

  const methods: Record<string, { verb: 'GET' | 'POST'; run: LocalMethod }> = {
    createSession: { verb: 'POST', run: createSession },
    refreshSession: {
      verb: 'POST',
      // The old refresh token stays valid: threads of one program may use it at the same time.
      run: authenticated('refresh', async (id) => {
        const death = account.death()
        if (death) return xrpcFailure(400, 'ExpiredToken', death.message)
        return jsonResponse({ ...(await tokens.issue(id)), ...user })
      }),
    },
    deleteSession: {
      verb: 'POST',
      run: authenticated(
        'refresh',
        async (id) => {
          tokens.end(id)
          return { status: 200, headers: [], body: null }
        },
        ['expired', 'revoked'],
      ),
    },
    getSession: { verb: 'GET', run: authenticated('access', async () => jsonResponse(user)) },
    describeServer: {
      verb: 'GET',
      run: async () =>
        jsonResponse({ did: frontDid, availableUserDomains: [], inviteCodeRequired: true, links: {}, contact: {} }),
    },
  }
  return {
    method: (nsid) => {
      const [, name = ''] = /^com\.atproto\.server\.(\w+)$/i.exec(nsid) ?? []
      const known = Object.keys(methods).find((each) => each.toLowerCase() === name.toLowerCase())
      return known === undefined ? undefined : methods[known]
    },
    refuse: async (request) => {
      const checked = await authenticate(request, 'access')
      if ('status' in checked) return checked
      return checked.fault && FAULTS[checked.fault]
    },
  }
}

/** The `did:web` of a server. */
export function didOf(origin: string): string {
  return `did:web:${new URL(origin).host.replace(':', '%3A')}`
}

const FAULTS: Readonly<Record<NonNullable<CheckedToken['fault']>, LocalResponse>> = {
  unverified: xrpcFailure(400, 'InvalidToken', 'Token could not be verified'),
  expired: xrpcFailure(400, 'ExpiredToken', 'Token has expired'),
  'other-kind': xrpcFailure(400, 'InvalidToken', 'Invalid token type'),
  revoked: xrpcFailure(400, 'ExpiredToken', 'Token has been revoked'),
}
