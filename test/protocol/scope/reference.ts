/**
 * What the reference parser says about the generated permissions and sets, and the permission sets that Bluesky publishes.
 * `npm run scopes` writes both to test/vectors/, on Node 22, which the packages need; reference.test.ts and presets.test.ts
 * in test/protocol/scope/ compare ours.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import {
  digest,
  type GeneratedSet,
  type Golden,
  generateScopes,
  generateSets,
  packed,
  SEED,
} from '../../support/scopes.ts'
import { inNewest } from '../../world/packages.ts'

const GOLDEN = new URL('../../vectors/oauth-scopes.json', import.meta.url)
const PUBLISHED = new URL('../../vectors/permission-sets.json', import.meta.url)

type Parsed = Readonly<Record<string, string | readonly string[] | undefined>> & {
  toPermissions?(set: Pick<GeneratedSet, 'permissions'>): Parsed[]
}
type Parser = { readonly name: string; fromString(text: string): Parsed | null }

/** Fields of the parsed object, by resource. */
const FIELDS: Readonly<Record<string, readonly string[]>> = {
  Repo: ['collection', 'action'],
  Rpc: ['lxm', 'aud'],
  Blob: ['accept'],
  Account: ['attr', 'action'],
  Identity: ['attr'],
  Include: ['nsid', 'aud'],
}

export async function askReference(): Promise<Golden> {
  const { version } = JSON.parse(readFileSync(inNewest('node_modules/@atproto/oauth-scopes/package.json'), 'utf8'))
  const reference = await import(pathToFileURL(inNewest('node_modules/@atproto/oauth-scopes/dist/index.js')).href)
  const parsers = Object.keys(FIELDS).map((name): [string, Parser] => [
    name,
    reference[name === 'Include' ? 'IncludeScope' : `${name}Permission`],
  ])
  const parse = (text: string) => {
    for (const [name, parser] of parsers) {
      const parsed = orNothing(() => parser.fromString(text))
      if (parsed) return meaningOf(name, parsed)
    }
    return undefined
  }
  const expand = ({ include, permissions }: GeneratedSet) => {
    const includes = reference.IncludeScope.fromString(include) as Required<Parsed>
    return includes
      .toPermissions({ permissions })
      .map((permission) => meaningOf(permission.constructor.name.replace(/Permission$/, ''), permission))
  }
  return {
    version,
    seed: SEED,
    scopes: packed(
      generateScopes().map((scope) => {
        const parsed = parse(scope)
        return parsed ? digest(parsed) : 0
      }),
    ),
    sets: packed(generateSets().map((set) => digest(...expand(set)))),
  }
}

/** The reference normalizes only what it writes, and cannot read back all of that. */
function meaningOf(name: string, parsed: Parsed) {
  const parameters = FIELDS[name]!.flatMap((field) => {
    const value = parsed[field]
    const values = value === undefined ? [] : [value].flat().map((one) => (name === 'Blob' ? one.toLowerCase() : one))
    return values.length === 0 ? [] : [[field, values.filter((one) => !isCovered(one, values))] as [string, string[]]]
  })
  return [name.toLowerCase(), parameters] as const
}

function isCovered(value: string, values: readonly string[]): boolean {
  return ['*', '*/*', value.replace(/\/.*/, '/*'), value === 'read' ? 'manage' : '*'].some(
    (wider) => wider !== value && values.includes(wider),
  )
}

/** The reference throws for text that cannot be decoded. Servers reject it then. */
function orNothing<T>(work: () => T): T | undefined {
  try {
    return work()
  } catch {
    return undefined
  }
}

/** The permission sets among the lexicons that the newest PDS comes with. */
export async function readPublishedSets() {
  const pds = 'node_modules/@atproto/pds'
  const { version } = JSON.parse(readFileSync(inNewest(`${pds}/package.json`), 'utf8'))
  const sets: Record<string, object> = {}
  for (const folder of ['app/bsky', 'chat/bsky']) {
    const lexicons = inNewest(`${pds}/dist/lexicons/${folder}`)
    for (const file of readdirSync(lexicons).filter((name) => /^auth.*\.defs\.js$/.test(name))) {
      const { main } = await import(pathToFileURL(`${lexicons}/${file}`).href)
      const { title, detail } = main.options
      const permissions = main.permissions.map(({ resource, options }: { resource: string; options: object }) => ({
        type: 'permission',
        resource,
        ...options,
      }))
      sets[main.nsid] = { type: 'permission-set', title, detail, permissions }
    }
  }
  return { version, sets }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  writeFileSync(GOLDEN, `${JSON.stringify(await askReference(), null, 2)}\n`)
  writeFileSync(PUBLISHED, `${JSON.stringify(await readPublishedSets(), null, 2)}\n`)
}
