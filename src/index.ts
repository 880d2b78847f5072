/**
 * The library: the verbs, the nouns and the errors, and Node as their world.
 *
 * @module
 */

export { itemsOf, type Page, type PagesOptions, pages } from './call/paginate.ts'
export type { RetryOptions } from './call/retry.ts'
export { type ClientCheck, type ClientFinding, type ClientVerdict, checkClient } from './client/check.ts'
export type { ClientChoice } from './client/client-id.ts'
export {
  fromNodeSession,
  type NodeSession,
  type NodeSessionOptions,
  toNodeSession,
} from './credentials/node-session.ts'
export { readCredentials } from './credentials/read.ts'
export { formatCredentials, TEXT_FORMATS, type TextFormat } from './credentials/write.ts'
export { type DoctorOptions, diagnose } from './doctor/doctor.ts'
export { CATALOGUE, type ErrorCode, isOAuthError, OAuthError, type SessionFate } from './errors.ts'
export { complete } from './login/complete.ts'
export { type Initiated, type InitOptions, init } from './login/init.ts'
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
export { type NodeRuntimeOptions, nodeRuntime } from './node/runtime.ts'
export type {
  Clock,
  Dns,
  Http,
  HttpInit,
  Notices,
  PendingStore,
  Random,
  Runtime,
  SaveTarget,
  Saving,
  SessionStore,
  Settings,
  Stores,
} from './ports.ts'
export type { Prompt } from './protocol/oauth/authorization-request.ts'
export type { SignedHeaders } from './protocol/oauth/dpop-fetch.ts'
export type { XrpcRequest } from './protocol/xrpc/request.ts'
export { type ExportOptions, exportSession } from './session/export.ts'
export { type ImportOptions, importSession } from './session/import.ts'
export { type Revoked, revoke } from './session/revoke.ts'
export { saveSession } from './session/save.ts'
export { openSession, openStoredSession, type Session, type SessionInit } from './session/session.ts'
export { type SessionStatus, statusOf } from './session/status.ts'
