/** `call --list` and `call <nsid> --describe`: the published methods, without a session and without a network. */
import {
  type Field,
  findMethod,
  listMethods,
  methodWarning,
  nearestMethod,
  needsOf,
} from '../../protocol/xrpc/lexicons.ts'
import { CliError } from '../errors.ts'
import { callCommandLine } from '../shell.ts'

export function methodList(part: string | undefined): string {
  const methods = listMethods(part)
  if (methods.length === 0) {
    throw new CliError('USAGE', `no published method has ${JSON.stringify(part)} in its name`, {
      hint: 'atproto-oauth call --list',
    })
  }
  const width = Math.max(...methods.map(({ nsid }) => nsid.length))
  return methods.map(({ nsid, kind }) => `${nsid.padEnd(width)}  ${kind}\n`).join('')
}

export function methodDescription(nsid: string): string {
  const method = findMethod(nsid)
  if (!method) {
    const meant = nearestMethod(nsid)
    if (meant) {
      throw new CliError('USAGE', `unknown method ${nsid}: did you mean ${meant.nsid}?`, {
        hint: `atproto-oauth call ${meant.nsid} --describe`,
      })
    }
    throw new CliError('USAGE', `no lexicon of ${nsid} is included; the method can still be called`, {
      hint: 'atproto-oauth call --list',
    })
  }
  const { kind, parameters, input, output } = method
  const warning = methodWarning(nsid)
  return [
    `${nsid}: a ${kind}`,
    ...(warning === undefined ? [] : [`warning: ${warning}`]),
    ...section('parameters', parameters),
    ...(input ? section(`body: ${input.mediaType}`, input.fields) : []),
    `response: ${output}`,
    `example: ${callCommandLine(needsOf(method))}`,
    '',
  ].join('\n')
}

function section(title: string, fields: readonly Field[]): string[] {
  const lines = fields.map(({ name, type, isList, isRequired }) => {
    const what = isList ? `list of ${type}` : type
    return `  ${name.padEnd(20)} ${what}${isRequired ? ', required' : ''}`
  })
  return lines.length === 0 && title === 'parameters' ? [] : [title, ...lines]
}
