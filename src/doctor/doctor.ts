/**
 * Checks every hop between an account and a working login, and yields each finding as soon as it is made. Stores
 * nothing and uses no token.
 */

import type { ClientChoice } from '../client/client-id.ts'
import type { Client, Credentials, Did, Origin, SessionRecord } from '../model.ts'
import type { Dns, Finding, Network, Settings, Stores } from '../ports.ts'
import { type Identifier, parseIdentifier } from '../protocol/identity/syntax.ts'
import { checkAccount } from './account.ts'
import { failed } from './check.ts'
import { checkClocks } from './clocks.ts'
import { checkDid, checkHandle } from './identity.ts'
import { checkDocument, checkPush, clientToTry } from './probe.ts'
import { checkIssuer, checkPds, checkResource, type Offered } from './servers.ts'
import { checkPlace, checkSessions } from './sessions.ts'
import { type Watched, watched } from './watch.ts'

export interface DoctorOptions extends ClientChoice {
  /** The credentials in the environment. */
  readonly credentials?: Credentials | undefined
}

export type DoctorPorts = Network & Dns & { readonly settings: Settings; readonly stores: Pick<Stores, 'sessions'> }
type Ports = Watched<DoctorPorts>

/**
 * Checks the account or server of `identifier`, or without one the accounts of all known sessions.
 *
 * @throws {OAuthError} `IDENTIFIER_INVALID`, `DID_METHOD_UNSUPPORTED`, `CLIENT_INVALID`, `SCOPE_INVALID`, before
 *   anything is sent. Faults that the checks find are returned, not thrown
 */
export function diagnose(
  identifier: string | undefined,
  options: DoctorOptions,
  ports: DoctorPorts,
): AsyncGenerator<Finding, void> {
  const named = identifier === undefined ? undefined : parseIdentifier(identifier, ports.settings.dev)
  const observed = watched(ports)
  return proxyFirst(examination(named, clientToTry(options), options, observed), observed)
}

async function* examination(
  named: Identifier | undefined,
  client: Client,
  options: DoctorOptions,
  ports: Ports,
): AsyncGenerator<Finding, void> {
  const records = yield* checkSessions(options.credentials, ports)
  /** The issuer of each PDS already checked: several accounts may share a PDS. */
  const done = new Map<Origin, Origin | undefined>()
  const push = (server: NonNullable<Offered['server']>) => checkPush(server, client, ports)
  for (const subject of named ? [named] : subjectsOf(records, options.credentials)) {
    yield* checkSubject(subject, { records, done, push }, ports)
  }
  yield* checkDocument(options, ports)
  yield* checkClocks(
    [...new Set([...done.keys(), ...done.values()])].filter((origin) => origin !== undefined),
    ports,
  )
}

/** If the proxy fails, nothing behind it could be checked: its finding comes before those that follow from it. */
async function* proxyFirst(findings: AsyncGenerator<Finding, void>, { watch }: Ports): AsyncGenerator<Finding, void> {
  for await (const finding of findings) {
    const fault = finding.verdict === 'broken' ? watch.proxyFault() : undefined
    if (fault) yield failed('proxy', fault, 0)
    yield finding
  }
}

function subjectsOf(records: readonly SessionRecord[], credentials: Credentials | undefined): Identifier[] {
  const living = records.filter(({ ended }) => !ended).map(({ did }) => did)
  return [...new Set([...(credentials ? [credentials.did] : []), ...living])].map((did) => ({ kind: 'did', did }))
}

interface Known {
  readonly records: readonly SessionRecord[]
  readonly done: Map<Origin, Origin | undefined>
  readonly push: (server: NonNullable<Offered['server']>) => Promise<Finding>
}

async function* checkSubject(subject: Identifier, known: Known, ports: Ports): AsyncGenerator<Finding> {
  if (subject.kind === 'server') {
    yield* checkServers(subject.origin, undefined, true, known, ports)
    return
  }
  const isOf = ({ did, handle, ended }: SessionRecord, account: Did | undefined) =>
    !ended && (account === undefined ? subject.kind === 'handle' && handle === subject.handle : did === account)
  const remembered = known.records.find((record) => isOf(record, subject.kind === 'did' ? subject.did : undefined))
  const identity =
    subject.kind === 'did'
      ? yield* checkDid(subject.did, ports)
      : yield* checkHandle(subject.handle, remembered?.did, ports)
  // If the account cannot be resolved, a session may still contain its PDS.
  const pds = identity?.pds ?? remembered?.pds
  if (pds === undefined) return
  const issuer = yield* checkServers(pds, identity ? undefined : remembered?.issuer, false, known, ports)
  if (!identity) return
  const account = await checkAccount(identity.did, pds, ports)
  if (account) yield account
  if (issuer === undefined) return
  for (const record of known.records.filter((each) => isOf(each, identity.did))) {
    const finding = checkPlace(record, pds, issuer)
    if (finding) yield finding
  }
}

/**
 * Checks the PDS, then its authorization server, as far as possible.
 *
 * @param isUnclear `pds` may be an authorization server instead
 */
async function* checkServers(
  pds: Origin,
  remembered: Origin | undefined,
  isUnclear: boolean,
  { done, push }: Known,
  ports: Ports,
): AsyncGenerator<Finding, Origin | undefined> {
  if (done.has(pds)) return done.get(pds)
  done.set(pds, undefined)
  const { finding, responds, isPds } = await checkPds(pds, ports)
  if (!isUnclear || !responds) yield finding
  if (!responds && remembered === undefined) return undefined
  const { findings, issuer: named, isAbsent } = await checkResource(pds, ports)
  // Most PDSes are their own authorization server, so without a named one that is checked.
  const guessed = named === undefined && remembered === undefined
  const issuer = named ?? remembered ?? pds
  const offered = await checkIssuer(issuer, isUnclear && isAbsent ? undefined : pds, ports)
  // A PDS has to serve the document, whatever its authorization server lists.
  const isServerAlone =
    isUnclear && isAbsent && offered.server !== undefined && !isPds && !offered.resources.includes(pds)
  if (isUnclear && responds && !isServerAlone) yield finding
  if (!isServerAlone) yield* findings
  if (guessed && offered.isAbsent) return undefined
  yield* offered.findings
  done.set(pds, issuer)
  if (!offered.server) return issuer
  if (offered.server.pushed_authorization_request_endpoint !== '') yield await push(offered.server)
  return issuer
}
