/**
 * The commands as data, read off the program: what completion and the manual are made of.
 */
import type { Command } from 'commander'
import { PRESET_NAMES } from '../../protocol/scope/presets.ts'
import { listMethods, unavailableReason } from '../../protocol/xrpc/lexicons.ts'
import { SERVICE_NAMES } from '../../protocol/xrpc/services.ts'

/**
 * What a value can be completed with: `data` is JSON or `@` and a file, `field` a parameter of the method that is
 * called, `target` a place to save to, `text` nothing. A list has all the values there are.
 */
export type Taken = 'path' | 'folder' | 'target' | 'data' | 'method' | 'field' | 'text' | readonly string[]

interface Value {
  /** As it stands between the brackets. */
  readonly name: string
  readonly isRequired: boolean
  readonly takes: Taken
}

export interface OptionOutline {
  /** `-o`, `--output`. */
  readonly flags: readonly string[]
  readonly about: string
  readonly isRepeatable: boolean
  readonly value?: Value | undefined
}

export interface ArgumentOutline extends Value {
  readonly about: string
  readonly isVariadic: boolean
}

export interface Outline {
  /** Without the program's own name: empty for the program, `['client', 'new']`. */
  readonly path: readonly string[]
  readonly about: string
  readonly options: readonly OptionOutline[]
  readonly arguments: readonly ArgumentOutline[]
  readonly commands: readonly Outline[]
}

/** By what stands between the brackets, all of it; what has choices has those instead. */
const TAKEN: Readonly<Record<string, Taken>> = {
  path: 'path',
  file: 'path',
  folder: 'folder',
  command: 'path',
  target: 'target',
  json: 'data',
  nsid: 'method',
  field: 'field',
  task: PRESET_NAMES,
  service: SERVICE_NAMES,
  method: ['GET', 'POST'],
  ...Object.fromEntries(
    [
      ...['account', 'days', 'did|handle', 'dids', 'duration', 'handle|did|url', 'id', 'kid', 'list', 'n', 'name'],
      ...['name: value', 'callback-url', 'client-id', 'origin', 'scope', 'seconds', 'uri', 'url'],
    ].map((name) => [name, 'text'] as const),
  ),
}

/** @param command whose own commands are all there, with their options */
export function outlineOf(command: Command, path: readonly string[] = []): Outline {
  const help = command.createHelp()
  return {
    path,
    about: command.description(),
    options: help.visibleOptions(command).map((option) => {
      const name = /[<[](.+?)(?:\.\.\.)?[\]>]/.exec(option.flags)?.[1]
      return {
        flags: [option.short, option.long].filter((flag) => flag !== undefined),
        about:
          option.description + (typeof option.defaultValue === 'string' ? ` (default: ${option.defaultValue})` : ''),
        isRepeatable: /\brepeatable\b/.test(option.description),
        value:
          name === undefined ? undefined : { name, isRequired: option.required, takes: taken(name, option.argChoices) },
      }
    }),
    arguments: command.registeredArguments.map((argument) => ({
      name: argument.name(),
      about: argument.description,
      isRequired: argument.required,
      isVariadic: argument.variadic,
      takes: taken(argument.name(), argument.argChoices),
    })),
    // Without `help`, which is a second way to ask for --help.
    commands: command.commands.map((own) => outlineOf(own, [...path, own.name()])),
  }
}

function taken(name: string, choices: readonly string[] | undefined): Taken {
  if (choices) return choices
  if (Object.hasOwn(TAKEN, name)) return TAKEN[name]!
  throw new Error(`what <${name}> can be completed with has to stand in outline.ts`)
}

/** It and all that is below it. */
export function everyCommand(outline: Outline): Outline[] {
  return [outline, ...outline.commands.flatMap(everyCommand)]
}

/** A line for each method that a session may call: its name, and `key=` for what it takes, with spaces between. */
export function methodLines(): string[] {
  return listMethods()
    .filter(({ nsid, kind }) => kind !== 'subscription' && unavailableReason(nsid) === undefined)
    .map(({ nsid, parameters, input }) =>
      [nsid, ...[...parameters, ...(input?.fields ?? [])].map(({ name }) => `${name}=`)].join(' '),
    )
}

/** What stands in front of where `--save` shall save to; `store` is whole. */
export const TARGETS = { whole: ['store'], prefixes: ['file:', 'gh:', 'exec:'] } as const
/** What fields may have as a value, or in it. */
export const PLACEHOLDERS = ['{did}', '{handle}', '{pds}'] as const

/** An option with the commands that have it exactly so. */
export interface SharedOption extends OptionOutline {
  readonly paths: readonly string[]
}

/** Many commands have the same options: each once. */
export function sharedOptions(outline: Outline): SharedOption[] {
  const all = new Map<string, SharedOption>()
  for (const { path, options } of everyCommand(outline)) {
    for (const option of options) {
      const key = JSON.stringify(option)
      all.set(key, { ...option, paths: [...(all.get(key)?.paths ?? []), path.join(' ')] })
    }
  }
  return [...all.values()]
}
