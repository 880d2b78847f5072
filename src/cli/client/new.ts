/**
 * `client new`: writes the files for a static host, and prints or saves the private key of a confidential client.
 */
import { join, relative, resolve } from 'node:path'
import { Command, Option } from 'commander'
import { shownAs } from '../../client/client-id.ts'
import {
  addClientKey,
  CALLBACK_FILE,
  type ClientDocument,
  clientHome,
  clientIdAt,
  createClientDocument,
  DOCUMENT_FILE,
  retireClientKey,
} from '../../client/create.ts'
import { CLIENT_JWK } from '../../credentials/variables.ts'
import { TEXT_FORMATS } from '../../credentials/write.ts'
import { OAuthError } from '../../errors.ts'
import { readPublic, readTemplate, reservePublic, writePublic } from '../../node/client-files.ts'
import { expandTilde } from '../../node/home.ts'
import { parseJsonObject } from '../../protocol/http/response.ts'
import type { Context } from '../context.ts'
import type { Format } from '../credentials/print.ts'
import { CliError } from '../errors.ts'
import type { Runner } from '../invocation.ts'
import { programName } from '../io.ts'
import { carriedFlags, type SavingOptions, SETTINGS } from '../options.ts'
import { shellQuote } from '../shell.ts'
import { chooseKeyDestination, deliverKey } from './key.ts'

export interface NewOptions extends SavingOptions {
  readonly origin?: string
  readonly out: string
  readonly name?: string
  readonly scope?: string
  readonly confidential?: boolean
  readonly native?: boolean
  readonly addKey?: boolean
  readonly retireKey?: string
  readonly force?: boolean
  readonly format?: Exclude<Format, 'bundle'>
}

export function clientNewCommand(runner: Runner): Command {
  const formats = [...TEXT_FORMATS.filter((format) => format !== 'bundle'), 'github']
  return new Command('new')
    .description('Create a client metadata document and its callback page for a static HTTPS host')
    .option('--origin <url>', 'HTTPS URL of the folder where the files will be served')
    .option('--out <folder>', 'Output folder', 'oauth-client')
    .option('--name <name>', 'Client name for the consent screen')
    .addOption(
      SETTINGS.scope.option({
        about: 'Every scope the client may request',
        defaultValue: 'atproto transition:generic',
      }),
    )
    .option(
      '--confidential',
      'Create a confidential client with its own key: sessions last up to 2 years instead of 14 days',
    )
    .option('--native', 'Create a native public client that redirects to http://127.0.0.1/callback')
    .option('--add-key', 'Add another key to the existing document')
    .option('--retire-key <kid>', 'Remove a key from the existing document, which ends its sessions')
    .option('--force', 'Overwrite existing files')
    .addOption(
      new Option('--format <format>', 'Print the private key in this format (default without --save: dotenv)').choices(
        formats,
      ),
    )
    .addOption(SETTINGS.save.option())
    .addHelpText('after', EXAMPLES)
    .action(runner.action(runNew, 'login'))
}

const EXAMPLES = `
Examples:
  atproto-oauth client new --origin https://alice.github.io/bot
  (umask 077; atproto-oauth client new --origin https://alice.github.io/bot --confidential > client.env)
  (umask 077; atproto-oauth client new --add-key > new-client.env)
  atproto-oauth client new --retire-key KID

Publish the folder. The private key is not in it: it is printed, or saved with --save, as ATPROTO_OAUTH_CLIENT_JWK.
`

async function runNew(options: NewOptions, context: Context): Promise<void> {
  checkUsage(options)
  const folder = resolve(expandTilde(options.out))
  const path = join(folder, DOCUMENT_FILE)
  const before = await readPublic(path)
  const made = await make(options, before, context)
  const page =
    options.addKey || options.retireKey !== undefined || options.native ? undefined : await pageFor(options, before)
  const destination = made.clientJwk && (await chooseKeyDestination(options, folder, context))

  const text = `${JSON.stringify(made.document, null, 2)}\n`
  await using reserved = await reservePublic(path, text)
  if (page !== undefined) await writePublic(join(folder, CALLBACK_FILE), page)
  const facts = { clientId: made.clientId, redirectUri: made.redirectUri, scope: made.scope, kids: made.kids, folder }
  // The document is written last: its public key is of no use before the private key is saved.
  await deliverKey(made.clientJwk, destination, facts, context)
  await reserved.fill(text)
  context.output.note(summary(made, page !== undefined, options, context))
}

function checkUsage({ origin, name, scope, confidential, native, addKey, retireKey }: NewOptions): void {
  const usage = (message: string) => new OAuthError('USAGE', message, { session: 'none' })
  if (addKey || retireKey !== undefined) {
    const others = [origin, name, scope, confidential, native, addKey && retireKey]
    if (others.some(Boolean))
      throw usage('--add-key and --retire-key cannot be used with each other or with other settings of the document')
    return
  }
  if (origin === undefined) throw usage('--origin is missing: the https URL where the files will be served')
  if (confidential && native) {
    throw usage('--native cannot be used with --confidential: servers reject a native client with a key')
  }
}

async function make(options: NewOptions, before: string | undefined, { io }: Context): Promise<ClientDocument> {
  const { addKey, retireKey, force, confidential, native, name, out } = options
  const there = parseJsonObject(before)
  const elsewhere = (message: string) =>
    new CliError('USAGE', message, { session: 'none', hint: 'choose another directory with --out, or add --force' })
  if (addKey || retireKey !== undefined) {
    if (!there) throw elsewhere(`no client metadata document found in ${out}`)
    return retireKey === undefined ? addClientKey(there) : retireClientKey(there, retireKey)
  }
  const origin = options.origin!
  const isOwn = there?.client_id === clientIdAt(clientHome(origin))
  if (before !== undefined && !isOwn && !force) {
    throw elsewhere(`${join(out, DOCUMENT_FILE)} already exists, and is not a document of this client`)
  }
  const template = parseJsonObject(await readTemplate(DOCUMENT_FILE))!
  const scope = SETTINGS.scope.read(options, io.environment)
  const kind = native ? 'native' : confidential ? 'confidential' : 'public'
  return createClientDocument({ origin, kind, name, scope }, template, isOwn && !force ? there : undefined)
}

/** The callback page to write; an edited page next to our document is kept. */
async function pageFor({ out, force }: NewOptions, document: string | undefined): Promise<string | undefined> {
  const page = await readTemplate(CALLBACK_FILE)
  const there = await readPublic(join(resolve(out), CALLBACK_FILE))
  if (there === undefined || force) return page
  if (there === page || document !== undefined) return undefined
  throw new CliError('USAGE', `${join(out, CALLBACK_FILE)} already exists, and was not written by this program`, {
    session: 'none',
    hint: 'choose another directory with --out, or add --force',
  })
}

function summary(made: ClientDocument, hasPage: boolean, options: NewOptions, { common, io }: Context): string {
  const { clientId, redirectUri, scope, kids, clientJwk } = made
  const folder = relative('', resolve(expandTilde(options.out))) || '.'
  const program = programName(io)
  const flags = carriedFlags(common)
  const login = [
    '--client-id',
    clientId,
    '--redirect-uri',
    redirectUri,
    ...(scope === 'atproto' ? [] : ['--scope', scope]),
  ]
  return [
    `wrote to ${folder}:`,
    `  ${DOCUMENT_FILE}    client metadata document`,
    ...(hasPage ? [`  ${CALLBACK_FILE}           callback page`] : []),
    '',
    'Publish the folder so that its files are served unchanged at',
    `  ${clientId}`,
    ...(redirectUri.startsWith('https:') ? [`  ${redirectUri}`] : []),
    ...(options.addKey
      ? ['Servers cache the document for about 10 minutes. Use the new key after that, and the earlier one until then.']
      : options.retireKey !== undefined
        ? ['Servers cache the document for about 10 minutes.']
        : [
            `The consent screen of the reference PDS shows "${shownAs(clientId)}", unless the server trusts the client.`,
          ]),
    ...keyNotes(kids, clientJwk?.kid, options),
    '',
    'Then:',
    `  ${program} client check ${shellQuote(clientId)}${flags}`,
    `  ${program} init alice.bsky.social ${login.map(shellQuote).join(' ')}${flags}`,
  ].join('\n')
}

function keyNotes(kids: readonly string[], made: string | undefined, { retireKey }: NewOptions): string[] {
  if (kids.length === 0) return []
  const others = kids.filter((kid) => kid !== made)
  return [
    '',
    ...(made === undefined
      ? []
      : [
          `The private key ${made} is not in the folder. Keep it secret, and set ${CLIENT_JWK}`,
          'for every command that uses this client (from a file client.env: set -a; . ./client.env; set +a).',
        ]),
    ...(made === undefined || others.length === 0
      ? []
      : [
          `Existing sessions still need the key ${others.join(' and ')}. Keep it until they have ended,`,
          'then remove it with --retire-key.',
        ]),
    ...(made === undefined && retireKey === undefined ? [`Keys (unchanged): ${others.join(' ')}`] : []),
    ...(retireKey === undefined
      ? []
      : [`Once this is published, sessions created with the key ${retireKey} end: sign in again.`]),
  ]
}
