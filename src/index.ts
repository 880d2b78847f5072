/**
 * The library: the verbs, the nouns and the errors, and Node as their world.
 *
 * @module
 */

export { complete } from './complete.ts'
export {
  fromNodeSession,
  type NodeSession,
  type NodeSessionOptions,
  toNodeSession,
} from './credentials/node-session.ts'
export { readCredentials } from './credentials/read.ts'
export { formatCredentials, TEXT_FORMATS, type TextFormat } from './credentials/write.ts'
export { type DoctorOptions, examine } from './doctor.ts'
export { AuthError, CATALOGUE, type ErrorCode, isAuthError, type SessionFate } from './errors.ts'
export { type ExportOptions, exportSession } from './export.ts'
export { type ImportOptions, importSession } from './import.ts'
export { type Initiated, type InitOptions, init } from './init.ts'
export { type ClientCheck, type ClientFinding, type ClientVerdict, checkClient } from './judge.ts'
export type {
  AuthorizationServer,
  Completed,
  Credentials,
  Did,
  Ended,
  Finding,
  Handle,
  Identity,
  Nonces,
  Nsid,
  Origin,
  PendingAuthorization,
  PendingRecord,
  PrivateJwk,
  ReceivedAuthorization,
  SessionRecord,
  SpentAuthorization,
  TokenSet,
} from './model.ts'
export { type NodeWorldOptions, nodeWorld } from './node/world.ts'
export { itemsOf, type Page, type PagesOptions, pages } from './paginate.ts'
export type { Patience } from './patience.ts'
export type {
  Clock,
  Dns,
  Http,
  HttpInit,
  Notices,
  PendingStore,
  Random,
  SaveTarget,
  Saving,
  SessionStore,
  Settings,
  Stores,
  World,
} from './ports.ts'
export type { Prompt } from './protocol/authorize.ts'
export type { ClientChoice } from './protocol/client.ts'
export type { SignedHeaders } from './protocol/dpop-fetch.ts'
export type { XrpcRequest } from './protocol/xrpc.ts'
export { type Revoked, revoke } from './revoke.ts'
export { saveSession } from './save.ts'
export { openSession, openStoredSession, type Session, type SessionInit } from './session.ts'
export { type SessionStatus, statusOf } from './status.ts'
