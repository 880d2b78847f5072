/**
 * The types of a call, by the name of its method. A method that is not published has parameters of any name, and an
 * `unknown` response.
 */
import type { OtherString, ProcedureMethods, QueryMethods } from '../lexicon-types.ts'
import type { CallOptions, Parameters } from './request.ts'

/** The NSID of a query; an editor completes the published ones. */
export type QueryName = keyof QueryMethods | OtherString
/** The NSID of a procedure; an editor completes the published ones. */
export type ProcedureName = keyof ProcedureMethods | OtherString

export type QueryParams<Name> = Name extends keyof QueryMethods ? QueryMethods[Name]['params'] : Parameters
export type QueryOutput<Name> = Name extends keyof QueryMethods ? QueryMethods[Name]['output'] : unknown
export type ProcedureParams<Name> = Name extends keyof ProcedureMethods ? ProcedureMethods[Name]['params'] : Parameters
/** A plain object is sent as JSON; text, bytes, a `Blob` and a stream are sent as they are. */
export type ProcedureInput<Name> = Name extends keyof ProcedureMethods ? ProcedureMethods[Name]['input'] : unknown
export type ProcedureOutput<Name> = Name extends keyof ProcedureMethods ? ProcedureMethods[Name]['output'] : unknown

/** Options of a procedure. */
export interface ProcedureOptions<Name = string> extends CallOptions {
  /** Parameters of the query string, which few procedures have. */
  readonly params?: ProcedureParams<Name> | undefined
}

/** Options of a query that is repeated for each page. */
export interface PageOptions extends CallOptions {
  /** Stop after this many pages; by default after the last one. */
  readonly limitPages?: number | undefined
}

export interface ItemOptions extends PageOptions {
  /** The member with the items, such as `records`; by default the only list in the response. */
  readonly list?: string | undefined
}

/** What follows the name of a query: parameters are optional where none is required. */
export type QueryArguments<Name, Options = CallOptions> =
  Record<never, never> extends QueryParams<Name>
    ? [params?: QueryParams<Name>, options?: Options]
    : [params: QueryParams<Name>, options?: Options]

/** What follows the name of a procedure: the input is optional where there is none. */
export type ProcedureArguments<Name> =
  undefined extends ProcedureInput<Name>
    ? [input?: ProcedureInput<Name>, options?: ProcedureOptions<Name>]
    : [input: ProcedureInput<Name>, options?: ProcedureOptions<Name>]

/** An element of the lists in a response. */
export type ItemOf<Output> = unknown extends Output
  ? unknown
  : Extract<NonNullable<Output[keyof Output]>, readonly unknown[]>[number]
