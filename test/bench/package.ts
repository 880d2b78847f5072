/** What is fetched and unpacked by `npx atproto-oauth`, and what each bundled library weighs in it. */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { LIMITS, pack, packageFolder } from '../package/packed.ts'

const folder = await mkdtemp(join(tmpdir(), 'atproto-oauth-bench-'))
const { size, unpackedSize, files } = await pack(folder)
await rm(folder, { recursive: true })

interface Weight {
  readonly bytes: number
  /** Each file by itself, which is a little more than in the tarball. */
  readonly gzipped: number
}

const code = join(packageFolder(), 'dist', 'cjs')
const chunks = (await readdir(code)).filter((name) => name.endsWith('.cjs'))
const vendors = chunks.filter((name) => name.startsWith('vendor-'))
const weights = await Promise.all(vendors.map(async (name) => [name, await weigh([join(code, name)])] as const))
const kinds: readonly (readonly [name: string, pattern: RegExp])[] = [
  ['own code', /^dist\/cjs\/(?!vendor-).*\.cjs$/],
  ['source maps', /\.map$/],
  ['types', /^dist\/types\//],
  ['docs, manual page, help', /^docs\/|\.md$|^dist\/(?:help\.txt|.*\.1)$/],
  ['licences', /LICENSE/],
]

say(`Package: ${files.length} files
  packed    ${kilobytes(size)} (wanted: at most ${kilobytes(LIMITS.packed)})
  unpacked  ${kilobytes(unpackedSize)} (wanted: at most ${kilobytes(LIMITS.unpacked)})
  others    none: no run-time dependencies

What it consists of, in bytes:         unpacked   gzipped`)
for (const [name, weight] of weights.sort(([, x], [, y]) => y.gzipped - x.gzipped)) line(name.slice(0, -4), weight)
for (const [name, pattern] of kinds) {
  const paths = files.map(({ path }) => path).filter((path) => pattern.test(path))
  line(name, await weigh(paths.map((path) => join(packageFolder(), path))))
}
say('')

async function weigh(paths: readonly string[]): Promise<Weight> {
  const contents = await Promise.all(paths.map((path) => readFile(path)))
  const sum = (sizes: readonly number[]) => sizes.reduce((total, each) => total + each, 0)
  return {
    bytes: sum(contents.map(({ length }) => length)),
    gzipped: sum(contents.map((content) => gzipSync(content, { level: 9 }).length)),
  }
}

function line(name: string, { bytes, gzipped }: Weight): void {
  say(`  ${name.padEnd(34)}${String(bytes).padStart(11)}${String(gzipped).padStart(10)}`)
}

function kilobytes(bytes: number): string {
  return `${(bytes / 1000).toFixed(0)} kB`
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}
