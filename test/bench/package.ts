/** What is fetched and unpacked by `npx atproto-oauth`. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pack } from '../package/packed.ts'

const folder = await mkdtemp(join(tmpdir(), 'atproto-oauth-bench-'))
const { size, unpackedSize, files } = await pack(folder)
await rm(folder, { recursive: true })
const kilobytes = (bytes: number) => `${(bytes / 1000).toFixed(0)} kB`
process.stdout.write(`Package: ${files.length} files
  packed    ${kilobytes(size)} (wanted: at most 500 kB)
  unpacked  ${kilobytes(unpackedSize)} (wanted: at most 2000 kB)
  others    none: no run-time dependencies

`)
