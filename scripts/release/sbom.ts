/**
 * The software bill of materials of a packed tarball, as CycloneDX 1.6 on stdout:
 * `tsx scripts/release/sbom.ts atproto-oauth-0.1.0.tgz`
 *
 * The package has no dependencies: its third-party code is bundled. `npm sbom` lists what is installed for development
 * instead. This reads the licence file that the build derives from the bundled modules, out of the tarball itself.
 */
import { execFile } from 'node:child_process'
import { createHash, randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

export interface Manifest {
  readonly name: string
  readonly version: string
  readonly license: string
}

/** The part of package-lock.json that is read here. */
export interface Lockfile {
  readonly packages: Readonly<Record<string, { readonly version?: string; readonly integrity?: string }>>
}

/** One package heading of dist/THIRD-PARTY-LICENSES.txt, behind its line of dashes. */
const HEADING = /^-{80}\n(?<name>(?:@[^\s/]+\/)?[^\s/]+) (?<version>\S+) \((?<license>[^()]+)\)$/gm

/** @param licences the text of dist/THIRD-PARTY-LICENSES.txt */
export function bundledPackages(licences: string): Manifest[] {
  return [...licences.matchAll(HEADING)].map(({ groups }) => {
    const { name, version, license } = groups as Record<keyof Manifest, string>
    return { name, version, license }
  })
}

/**
 * @param tarballSha512 in hex
 * @throws {Error} if nothing is bundled, or a bundled package is not in the lock file
 */
export function createSbom(
  manifest: Manifest,
  bundled: readonly Manifest[],
  lockfile: Lockfile,
  { tarballSha512, serialNumber, timestamp }: Readonly<Record<'tarballSha512' | 'serialNumber' | 'timestamp', string>>,
) {
  if (bundled.length === 0) throw new Error('no bundled package found')
  const { name, version } = manifest
  return {
    $schema: 'http://cyclonedx.org/schema/bom-1.6.schema.json',
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    serialNumber: `urn:uuid:${serialNumber}`,
    version: 1,
    metadata: {
      timestamp,
      lifecycles: [{ phase: 'build' }],
      tools: { components: [{ type: 'application', name: `${name}/scripts/release/sbom.ts`, version }] },
      component: component('application', manifest, tarballSha512),
    },
    components: bundled.map((each) => component('library', each, publishedSha512(each, lockfile))),
    dependencies: [
      { ref: packageUrl(manifest), dependsOn: bundled.map(packageUrl) },
      ...bundled.map((each) => ({ ref: packageUrl(each) })),
    ],
    // All components are listed. Which of them uses which is not: in a bundle it makes no difference.
    compositions: [
      { aggregate: 'complete', assemblies: [packageUrl(manifest)] },
      { aggregate: 'unknown', dependencies: bundled.map(packageUrl) },
    ],
  }
}

function component(type: 'application' | 'library', manifest: Manifest, sha512: string) {
  const { version, license } = manifest
  const [, group, name] = /^(?:(@.+)\/)?(.+)$/.exec(manifest.name)!
  const purl = packageUrl(manifest)
  return {
    type,
    'bom-ref': purl,
    ...(group === undefined ? {} : { group }),
    name,
    version,
    hashes: [{ alg: 'SHA-512', content: sha512 }],
    licenses: [{ license: { id: license } }],
    purl,
  }
}

function packageUrl({ name, version }: Manifest): string {
  return `pkg:npm/${name.replace('@', '%40')}@${version}`
}

/** In hex, of the tarball from which `npm ci` installed the package. */
function publishedSha512({ name, version }: Manifest, { packages }: Lockfile): string {
  const locked = Object.entries(packages).find(
    ([path, entry]) => path.endsWith(`node_modules/${name}`) && entry.version === version,
  )
  const [, base64] = /^sha512-(\S+)/.exec(locked?.[1].integrity ?? '') ?? []
  if (base64 === undefined) throw new Error(`package-lock.json has no integrity for ${name}@${version}`)
  return Buffer.from(base64, 'base64').toString('hex')
}

/** @param tarball what `npm pack` wrote */
export async function sbomOf(tarball: string) {
  const read = async (path: string) => (await promisify(execFile)('tar', ['-xzOf', tarball, `package/${path}`])).stdout
  const lockfile = await readFile(new URL('../../package-lock.json', import.meta.url), 'utf8')
  return createSbom(
    JSON.parse(await read('package.json')),
    bundledPackages(await read('dist/THIRD-PARTY-LICENSES.txt')),
    JSON.parse(lockfile),
    {
      tarballSha512: createHash('sha512')
        .update(await readFile(tarball))
        .digest('hex'),
      serialNumber: randomUUID(),
      timestamp: new Date().toISOString(),
    },
  )
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [tarball] = process.argv.slice(2)
  if (tarball === undefined) throw new Error('usage: tsx scripts/release/sbom.ts atproto-oauth-0.1.0.tgz')
  process.stdout.write(`${JSON.stringify(await sbomOf(tarball), null, 2)}\n`)
}
