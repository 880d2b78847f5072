import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import packageJson from '../../package.json' with { type: 'json' }
import { bundledPackages, createSbom, type Manifest, sbomOf } from '../../scripts/release/sbom.ts'
import { installed, packageFolder } from './packed.ts'

describe('the SBOM of the packed tarball', () => {
  test('lists each package of THIRD-PARTY-LICENSES.txt, with its version, licence and hash in package-lock.json', async () => {
    const { metadata, components, dependencies } = await sbomOf(installed().tarball)
    const licences = await readFile(join(packageFolder(), 'dist/THIRD-PARTY-LICENSES.txt'), 'utf8')
    expect(components.length).toBe(licences.split(`\n${'-'.repeat(80)}\n`).length - 1)
    const { packages } = JSON.parse(await readFile('package-lock.json', 'utf8')) as {
      packages: Record<string, { version?: string; license?: string; integrity?: string }>
    }
    const locked = Object.entries(packages).map(([path, { version, license, integrity }]) => {
      return [path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length), version, license, integrity]
    })
    for (const { group, name, version, licenses, hashes } of components) {
      const integrity = `sha512-${Buffer.from(hashes[0]!.content, 'hex').toString('base64')}`
      const fullName = group === undefined ? name : `${group}/${name}`
      expect(locked).toContainEqual([fullName, version, licenses[0]!.license.id, integrity])
    }
    const { name, version, license } = packageJson
    expect(metadata.component).toMatchObject({ name, version, licenses: [{ license: { id: license } }] })
    expect(dependencies[0]).toStrictEqual({
      ref: `pkg:npm/atproto-oauth@${version}`,
      dependsOn: components.map(({ purl }) => purl),
    })
  })

  test('lists each vendor chunk’s main package', async () => {
    const vendors = (await readdir(join(packageFolder(), 'dist/cjs'))).filter((file) => /^vendor-\w+\.cjs$/.test(file))
    const names = (await sbomOf(installed().tarball)).components.map(({ purl }) => purl).join(' ')
    for (const vendor of vendors) expect(names).toContain(MAIN_PACKAGE[vendor.slice('vendor-'.length, -'.cjs'.length)])
  })
})

const MAIN_PACKAGE: Record<string, string> = {
  conf: 'pkg:npm/conf@',
  addresses: 'pkg:npm/ipaddr.js@',
  commander: 'pkg:npm/commander@',
  jose: 'pkg:npm/jose@',
  open: 'pkg:npm/open@',
  prompts: 'pkg:npm/%40inquirer/core@',
  redis: 'pkg:npm/ioredis@',
  schemas: 'pkg:npm/%40badrap/valita@',
}

describe('an SBOM', () => {
  const scoped: Manifest = { name: '@scope/one', version: '1.0.0', license: 'MIT' }
  const manifest: Manifest = { name: 'ours', version: '2.0.0', license: 'MIT' }
  const facts = { tarballSha512: 'ab', serialNumber: 'serial', timestamp: 'now' }
  const lockfile = {
    packages: { 'node_modules/x/node_modules/@scope/one': { version: '1.0.0', integrity: 'sha512-AQI=' } },
  }

  test('has the package URL of a scoped package, installed below another one', () => {
    expect(createSbom(manifest, [scoped], lockfile, facts).components).toStrictEqual([
      {
        type: 'library',
        'bom-ref': 'pkg:npm/%40scope/one@1.0.0',
        group: '@scope',
        name: 'one',
        version: '1.0.0',
        hashes: [{ alg: 'SHA-512', content: '0102' }],
        licenses: [{ license: { id: 'MIT' } }],
        purl: 'pkg:npm/%40scope/one@1.0.0',
      },
    ])
  })

  test('is not made of a package that is not in the lock file, nor of nothing', () => {
    expect(() => createSbom(manifest, [{ ...scoped, version: '1.0.1' }], lockfile, facts)).toThrow('@scope/one@1.0.1')
    expect(() => createSbom(manifest, [], lockfile, facts)).toThrow('no bundled package')
  })

  test('reads headings of the licence file, and nothing in a licence’s text', () => {
    const dashes = '-'.repeat(80)
    const text = `ours contains:\n\n${dashes}\n@scope/one 1.0.0 (MIT)\n\nMIT License (c) 2020\n${dashes}\nnot a heading\n`
    expect(bundledPackages(text)).toStrictEqual([scoped])
  })
})
