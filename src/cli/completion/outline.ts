/**
 * The commands as data, extracted from the program, for completion scripts and the man page.
 */
import type { Command } from 'commander'
import { PRESET_NAMES } from '../../protocol/scope/presets.ts'
import { listMethods, unavailableReason } from '../../protocol/xrpc/lexicons.ts'
import { SERVICE_NAMES } from '../../protocol/xrpc/services.ts'
import { SETTING_KEYS } from '../config/keys.ts'
import { PROGRAMS } from '../run/programs.ts'

/**
 * How a value is completed: `data` is JSON or `@` and a file, `field` a field of the method, `target` a save target,
 * `account` an account or name of a stored session, `setting` the value of the setting before it, `command` another program
 * and then what that completes, `text` nothing. A list contains all values.
 */
export type Taken =
  | 'path'
  | 'folder'
  | 'target'
  | 'data'
  | 'method'
  | 'field'
  | 'account'
  | 'setting'
  | 'command'
  | 'text'
  | readonly string[]

interface Value {
  /** The name between the brackets. */
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
  /** Without the name of the program: empty for the program itself, otherwise for example `['client', 'new']`. */
  readonly path: readonly string[]
  readonly about: string
  readonly options: readonly OptionOutline[]
  readonly arguments: readonly ArgumentOutline[]
  readonly commands: readonly Outline[]
}

/** By the name between the brackets. Options with choices are completed with those. */
const TAKEN: Readonly<Record<string, Taken>> = {
  path: 'path',
  file: 'path',
  folder: 'folder',
  command: 'command',
  target: 'target',
  json: 'data',
  nsid: 'method',
  field: 'field',
  program: PROGRAMS.map(({ name }) => name),
  task: PRESET_NAMES,
  service: SERVICE_NAMES,
  method: ['GET', 'POST'],
  account: 'account',
  'did|handle': 'account',
  key: SETTING_KEYS,
  value: 'setting',
  ...Object.fromEntries(
    [
      ...[
        'address',
        'days',
        'dids',
        'duration',
        'handle|did|url',
        'id',
        'kid',
        'list',
        'n',
        'name',
        'name=value',
        'port',
      ],
      ...['name: value', 'callback-url', 'client-id', 'origin', 'scope', 'seconds', 'uri', 'url'],
    ].map((name) => [name, 'text'] as const),
  ),
}

/** @param command with all subcommands and options loaded */
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
    // Without `help`, which duplicates --help.
    commands: command.commands.map((own) => outlineOf(own, [...path, own.name()])),
  }
}

function taken(name: string, choices: readonly string[] | undefined): Taken {
  if (choices) return choices
  if (Object.hasOwn(TAKEN, name)) return TAKEN[name]!
  throw new Error(`outline.ts does not say how to complete <${name}>`)
}

/** The command and all its subcommands. */
export function everyCommand(outline: Outline): Outline[] {
  return [outline, ...outline.commands.flatMap(everyCommand)]
}

/** Commands whose options end where another program begins. */
export function wrappers(outline: Outline): Outline[] {
  return everyCommand(outline).filter(({ arguments: [first] }) => first?.takes === 'command')
}

/** One line per method that a session may call: its name, and its fields as `key=`, space-separated. */
export function methodLines(): string[] {
  return listMethods()
    .filter(({ nsid, kind }) => kind !== 'subscription' && unavailableReason(nsid) === undefined)
    .map(({ nsid, parameters, input }) =>
      [nsid, ...[...parameters, ...(input?.fields ?? [])].map(({ name }) => `${name}=`)].join(' '),
    )
}

/** Prints the accounts and names of stored sessions: without a request, and without a word if there are none. */
export function accountsCommand(name: string): string {
  return `${name} accounts --names < /dev/null 2> /dev/null`
}

/** The save targets: complete ones, and prefixes. */
export const TARGETS = { whole: ['store', 'vault'], prefixes: ['file:', 'gh:', 'exec:'] } as const
/** Placeholders in field values. */
export const PLACEHOLDERS = ['{did}', '{handle}', '{pds}'] as const

/** An option and the commands that share it. */
export interface SharedOption extends OptionOutline {
  readonly paths: readonly string[]
}

/** Groups options that several commands share. */
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
