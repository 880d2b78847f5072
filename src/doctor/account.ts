/**
 * Asks the PDS of an account for its state. An account that is deactivated or taken down can sign in at some servers,
 * but its requests fail.
 *
 * @see {@link https://docs.bsky.app/docs/api/com-atproto-sync-get-repo-status getRepoStatus}
 */
import type { Did, Origin } from '../model.ts'
import type { Clock, Finding, Http } from '../ports.ts'
import { readText } from '../protocol/http/bounded-body.ts'
import { parseJsonObject, serverError, shown } from '../protocol/http/response.ts'
import { attempt, broken, ok, warning } from './check.ts'

type Ports = Http & Clock

const TIMEOUT = 10
const LARGEST = 64 * 1024

/** States of which an operator knows the cause, and which end by themselves or with the operator. */
const BY_OPERATOR: ReadonlySet<unknown> = new Set(['takendown', 'suspended'])
/** The account works, but the PDS delays or repairs its repository. */
const WORKING: ReadonlySet<unknown> = new Set(['throttled', 'desynchronized'])

/** @returns `undefined` if the PDS does not say: it does not respond, or has no such method */
export async function checkAccount(did: Did, pds: Origin, ports: Ports): Promise<Finding | undefined> {
  const topic = 'account'
  const url = new URL('/xrpc/com.atproto.sync.getRepoStatus', pds)
  url.searchParams.set('did', did)
  const { value, milliseconds } = await attempt(() => fetchStatus(url, ports), ports)
  if (!value) return undefined
  const { status, body } = value
  if (status === 400) {
    if (serverError(status, body).error !== 'RepoNotFound') return undefined
    const detail = `${pds} has no repository of ${did}, although the DID document names that PDS`
    const fix =
      'if the account is being moved, complete the move; otherwise create the account there, or correct the PDS in the DID document'
    return broken({ topic, detail, fix, milliseconds })
  }
  if (status !== 200 || typeof body?.['active'] !== 'boolean') return undefined
  if (body['active']) return ok({ topic, detail: `${did} is active at ${pds}`, milliseconds })
  const state = body['status']
  const found = { topic, detail: `${did} is not active at ${pds}: ${stateOf(state)}`, milliseconds }
  if (WORKING.has(state)) return warning({ ...found, fix: `wait, or ask the operator of ${pds}` })
  if (state === 'deactivated') {
    const fix = `sign in to ${pds} with the password, in an app such as bsky.app, and reactivate the account; if it was moved, the DID document must name its new PDS`
    return broken({ ...found, fix })
  }
  if (BY_OPERATOR.has(state)) return broken({ ...found, fix: `ask the operator of ${pds} why, and how to appeal` })
  return broken({ ...found, fix: `ask the operator of ${pds} for the state of the account` })
}

function stateOf(status: unknown): string {
  return typeof status === 'string' ? shown(status) : 'no reason given'
}

async function fetchStatus(url: URL, ports: Ports) {
  const response = await ports.fetch(url, { headers: { accept: 'application/json' }, timeoutSeconds: TIMEOUT })
  return { status: response.status, body: parseJsonObject(await readText(response, LARGEST)) }
}
