/**
 * The public API of the library: operations, types, errors, and the Node runtime.
 *
 * @module
 */

export { itemsOf, type Page, type PagesOptions, pages } from './call/paginate.ts'
export type { RateLimit, RetryOptions } from './call/retry.ts'
export {
  type CheckClientPorts,
  type ClientCheck,
  type ClientFinding,
  type ClientVerdict,
  checkClient,
} from './client/check.ts'
export type { ClientChoice } from './client/client-id.ts'
export {
  fromNodeSession,
  type NodeSession,
  type NodeSessionOptions,
  toNodeSession,
} from './credentials/node-session.ts'
export { readCredentials } from './credentials/read.ts'
export type { Environment } from './credentials/variables.ts'
export { formatCredentials, TEXT_FORMATS, type TextFormat } from './credentials/write.ts'
export { type DoctorOptions, type DoctorPorts, diagnose } from './doctor/doctor.ts'
export {
  type Advice,
  type ErrorChanges,
  type ErrorCode,
  type ErrorDetails,
  type ErrorFacts,
  type Fix,
  isOAuthError,
  type LoginFacts,
  type MethodNeeds,
  OAuthError,
  type PlainReason,
  type ReasonFacts,
  type ResponseFacts,
  type SessionState,
  type StoreTrouble,
} from './errors.ts'
export { type CompletePorts, complete } from './login/complete.ts'
export { type Initiated, type InitOptions, type InitPorts, init } from './login/init.ts'
export type { DeliverOption } from './login/journal.ts'
export type {
  AuthorizationServer,
  ClientJwk,
  ClientKeyName,
  Completed,
  Credentials,
  Did,
  Ended,
  Handle,
  Identity,
  Nonces,
  Nsid,
  Origin,
  P256Jwk,
  PendingAuthorization,
  PendingRecord,
  PrivateJwk,
  ReceivedAuthorization,
  RevokedSession,
  SessionRecord,
  SpentAuthorization,
  TokenSet,
} from './model.ts'
export { type NodeRuntimeOptions, nodeRuntime } from './node/runtime.ts'
export type { LockHolder } from './node/store/lock.ts'
export type {
  Adoption,
  Body,
  Clock,
  Dns,
  Finding,
  Http,
  HttpBody,
  HttpHeaders,
  HttpInit,
  HttpResponse,
  Network,
  Notices,
  PendingStore,
  Random,
  Runtime,
  SaveTarget,
  Saving,
  Secp256k1,
  SessionStore,
  SessionTransaction,
  Settings,
  Stores,
  Timer,
  Transaction,
} from './ports.ts'
export type { JsonObject } from './protocol/http/response.ts'
export type { Prompt } from './protocol/oauth/authorization-request.ts'
export type { SignedHeaders } from './protocol/oauth/dpop-fetch.ts'
export type { DroppedEntry, DropReason, LocalizedText, PermissionSet } from './protocol/scope/permission-set.ts'
export type { XrpcRequest } from './protocol/xrpc/request.ts'
export type { SessionInit } from './session/body.ts'
export { type ExportOptions, exportSession } from './session/export.ts'
export { type ImportOptions, importSession } from './session/import.ts'
export { openSession, openStoredSession } from './session/open.ts'
export type { RefreshPorts } from './session/ports.ts'
export { type Revoked, revoke } from './session/revoke.ts'
export { saveSession } from './session/saving.ts'
export type { Session } from './session/session.ts'
export { type SessionStatus, statusOf } from './session/status.ts'
