import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

const launcher = readFileSync('bin/atproto-oauth.cjs', 'utf8')

/** Runs the launcher as the given Node would; it must be a script that old ones can parse. */
function launch(node: string) {
  const lines: string[] = []
  const process = { versions: { node }, exitCode: undefined as number | undefined }
  const imported: string[] = []
  const load = (path: string) => {
    imported.push(path)
    return { start: () => undefined }
  }
  const script = launcher.replace(/^#!.*/, '')
  new Function('process', 'console', 'require', script)(process, { error: (line: string) => lines.push(line) }, load)
  return { lines, exitCode: process.exitCode, imported }
}

test.each(['8.17.0', '12.22.12', '18.20.8', '20.18.3'])('Node %s is told that it is too old', (version) => {
  const { lines, exitCode, imported } = launch(version)
  expect(lines[0]).toBe(`atproto-oauth: error: Node ${version} is too old, 20.19 or newer is needed`)
  expect(lines).toHaveLength(2)
  expect([exitCode, imported]).toStrictEqual([2, []])
})

test.each(['20.19.0', '22.0.0', '24.21.0', '26.10.0'])('Node %s runs the CLI', (version) => {
  expect(launch(version)).toStrictEqual({ lines: [], exitCode: undefined, imported: ['../dist/cjs/front.cjs'] })
})

test('the launcher uses nothing that an old Node cannot parse', () => {
  expect(launcher).not.toMatch(/=>|\b(?:const|let|async|await|class)\b|`|\?\.|^import /m)
})
