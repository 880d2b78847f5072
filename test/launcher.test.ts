import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'

const launcher = readFileSync('bin/atproto-oauth.cjs', 'utf8')

/** Runs the launcher as the given Node would; it must be a script that old ones can parse. */
function launch(node: string) {
  const lines: string[] = []
  const process = { versions: { node }, exitCode: undefined as number | undefined }
  const imported: string[] = []
  const load = (path: string) => {
    if (path === 'node:fs') return { existsSync: () => true }
    imported.push(path)
    return { main: () => undefined }
  }
  const script = launcher.replace(/^#!.*/, '')
  const names = ['process', 'console', 'require', '__dirname']
  new Function(...names, script)(process, { error: (line: string) => lines.push(line) }, load, '/package/bin')
  return { lines, exitCode: process.exitCode, imported }
}

test.each(['8.17.0', '12.22.12', '18.20.8', '20.18.3'])('Node %s is told that it is too old', (version) => {
  const { lines, exitCode, imported } = launch(version)
  expect(lines[0]).toBe(`atproto-oauth: error: Node ${version} is too old, 20.19 or newer is needed`)
  expect(lines).toHaveLength(2)
  expect([exitCode, imported]).toStrictEqual([2, []])
})

test.each(['20.19.0', '22.0.0', '24.21.0', '26.10.0'])('Node %s runs the CLI', (version) => {
  expect(launch(version)).toStrictEqual({ lines: [], exitCode: undefined, imported: ['../dist/cjs/entry.cjs'] })
})

test('the launcher uses nothing that an old Node cannot parse', () => {
  expect(launcher).not.toMatch(/=>|\b(?:const|let|async|await|class)\b|`|\?\.|^import /m)
})

test('in a clone that is not built it says what to type', () => {
  const folder = mkdtempSync(join(tmpdir(), 'atproto-oauth-clone-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'atproto-oauth.cjs')
  cpSync('bin/atproto-oauth.cjs', path)
  const { status, stdout, stderr } = spawnSync(process.execPath, [path, 'status'], { encoding: 'utf8' })
  expect({ status, stdout, stderr }).toStrictEqual({
    status: 2,
    stdout: '',
    stderr: 'atproto-oauth: error: this clone is not built yet\natproto-oauth: hint: npm ci && npm run build\n',
  })
})

test('a clone can start the launcher itself', () => {
  expect(statSync('bin/atproto-oauth.cjs').mode & 0o111).toBe(0o111)
})
