/**
 * The package as it is published: what the end-to-end tests install and run.
 */
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
/** Bytes that the package may have, packed and unpacked. */
export const LIMITS = { packed: 600_000, unpacked: 2_000_000 } as const

/** For the workers: what was packed, as JSON, and where it is installed. */
const INSTALLED = 'ATPROTO_OAUTH_TEST_PACKAGE'

/** A folder with what `npm pack --json` has written, as `packed.json`, and the tarball: it is not packed again. */
const READY = 'ATPROTO_OAUTH_TEST_PACKED'

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
  return readPacked(stdout, folder)
}

function readPacked(output: string, folder: string): Packed {
  const [packed] = JSON.parse(output.slice(output.indexOf('[\n')))
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
  const ready = process.env[READY]
  const packed = ready ? readPacked(await readFile(join(ready, 'packed.json'), 'utf8'), ready) : await pack(folder)
  await mkdir(join(folder, 'code'), { mode: 0o700 })
  await npm(['install', '--no-save', '--prefix', folder, packed.tarball], folder)
  process.env[INSTALLED] = JSON.stringify({ ...packed, folder })
}

/** What vitest's global setup has packed, and the folder in which it is installed. */
export function installed(): Packed & { readonly folder: string } {
  return JSON.parse(process.env[INSTALLED]!)
}

/** Where the homes of tests keep the compiled program, all of them together. */
export function codeFolder(): string | undefined {
  return process.env[INSTALLED] ? join(installed().folder, 'code') : undefined
}

/** Where tests find the package; outside of them, and in a worktree that was only built, it is this one. */
export function packageFolder(): string {
  return process.env[INSTALLED] ? join(installed().folder, 'node_modules', 'atproto-oauth') : ROOT
}
