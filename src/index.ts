/**
 * The public API of the library: `OAuthClient` signs in and opens sessions, and `OAuthSession` makes requests.
 *
 * @module
 */

export type { ClientCheck, ClientFinding, ClientVerdict } from './client/check.ts'
export type { ClientChoice } from './client/client-id.ts'
export { type AtcuteSession, fromAtcuteSession, toAtcuteSession } from './credentials/atcute-session.ts'
export {
  fromNodeSession,
  type NodeSession,
  type NodeSessionOptions,
  toNodeSession,
} from './credentials/node-session.ts'
export { formatCredentials, TEXT_FORMATS, type TextFormat } from './credentials/write.ts'
export type { DoctorOptions } from './doctor/doctor.ts'
export type { PermissionSetCheck } from './doctor/permission-set.ts'
export {
  type Advice,
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
  type SetStep,
  type StoreTrouble,
} from './errors.ts'
export type * from './lexicon-types.ts'
export type { SessionChange } from './library/changes.ts'
export {
  type Authorization,
  type AuthorizeOptions,
  type ImportSessionOptions,
  OAuthClient,
} from './library/client.ts'
export { memoryStores } from './library/memory-stores.ts'
export type {
  ItemOf,
  ItemOptions,
  PageOptions,
  ProcedureArguments,
  ProcedureInput,
  ProcedureName,
  ProcedureOptions,
  ProcedureOutput,
  ProcedureParams,
  QueryArguments,
  QueryName,
  QueryOutput,
  QueryParams,
} from './library/method-types.ts'
export type { OAuthClientOptions, VaultOptions } from './library/options.ts'
export type { CallOptions, Parameters, ParameterValue } from './library/request.ts'
export { type ParseOptions, parseCredentials } from './library/saved.ts'
export {
  type HandOverOptions,
  type LeaseOptions,
  type Login,
  OAuthSession,
  type RefreshOptions,
  type SessionFormats,
  type SignalOption,
  type UploadOptions,
} from './library/session.ts'
export { XrpcError } from './library/xrpc-error.ts'
export type { InitOptions } from './login/init.ts'
export type {
  ClientJwk,
  ClientKeyName,
  Completed,
  Credentials,
  Did,
  Ended,
  Handle,
  Nonces,
  Origin,
  P256Jwk,
  PendingAuthorization,
  PendingRecord,
  PrivateJwk,
  ReceivedAuthorization,
  RevokedSession,
  SessionRecord,
  SpentAuthorization,
} from './model.ts'
export type {
  Adoption,
  Body,
  Clock,
  ConnectOptions,
  Dns,
  FastCrypto,
  Finding,
  PendingStore,
  SaveTarget,
  SessionStore,
  SessionTransaction,
  Stores,
  Timer,
  Transaction,
} from './ports.ts'
export {
  type ExplainedPermission,
  explainScope,
  type ScopeExplanation,
  type ScopeFault,
} from './protocol/explain/explain.ts'
export type { Prompt } from './protocol/oauth/authorization-request.ts'
export type { SignedHeaders } from './protocol/oauth/dpop-fetch.ts'
export type {
  DroppedEntry,
  DropReason,
  LocalizedText,
  PermissionSet,
  UnresolvedSet,
} from './protocol/scope/permission-set.ts'
export type { SessionInit } from './session/body.ts'
export type { SessionStatus } from './session/status.ts'
