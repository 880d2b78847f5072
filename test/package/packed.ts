/**
 * The package as it is published: what the end-to-end tests install and run.
 */
import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
/** Bytes that the package may have, packed and unpacked. */
export const LIMITS = { packed: 600_000, unpacked: 2_000_000 } as const

/** For the workers: what was packed, as JSON. It is installed next to the tarball. */
const INSTALLED = 'ATPROTO_OAUTH_TEST_PACKAGE'

export interface Packed {
  readonly tarball: string
  /** Bytes. */
  readonly size: number
  /** Bytes. */
  readonly unpackedSize: number
  readonly files: readonly { readonly path: string; readonly size: number; readonly mode: number }[]
}

/** `npm pack`, which builds. */
export async function pack(folder: string): Promise<Packed> {
  const { stdout } = await npm(['pack', '--json', '--pack-destination', folder], ROOT)
  const [packed] = JSON.parse(stdout.slice(stdout.indexOf('[\n')))
  return { ...packed, tarball: join(folder, packed.filename) }
}

/** With no registry to ask: whatever else it needs, it does not get. */
export function npm(args: readonly string[], cwd: string, env: Record<string, string> = {}) {
  const offline = { npm_config_registry: 'http://127.0.0.1:9/', npm_config_audit: 'false', npm_config_fund: 'false' }
  return promisify(execFile)('npm', args, { cwd, env: { ...process.env, ...offline, ...env } })
}

let folder: string | undefined

/** Vitest's global setup of each project that runs the CLI: packs and installs once, for all of them. */
export default async function setup(): Promise<() => Promise<void>> {
  const shared = globalThis as { [INSTALLED]?: Promise<void> }
  shared[INSTALLED] ??= install()
  await shared[INSTALLED]
  return async () => {
    if (folder) await rm(folder, { recursive: true, force: true })
  }
}

async function install(): Promise<void> {
  folder = await mkdtemp(join(tmpdir(), 'atproto-oauth-package-'))
  const packed = await pack(folder)
  await npm(['install', '--no-save', '--prefix', folder, packed.tarball], folder)
  process.env[INSTALLED] = JSON.stringify(packed)
}

/** What vitest's global setup has packed. */
export function installed(): Packed {
  return JSON.parse(process.env[INSTALLED]!)
}

/** Where tests find the package; outside of them, and in a worktree that was only built, it is this one. */
export function packageFolder(): string {
  return process.env[INSTALLED] ? join(dirname(installed().tarball), 'node_modules', 'atproto-oauth') : ROOT
}
