// Reads what vitest has written of runs of the suite (`--reporter=json`), as `.ci/run` needs it.
import { readdirSync, readFileSync } from 'node:fs'

/** Each test of a run, with its file as `test/…`, whichever clone it was in. */
function testsOf(report) {
  return JSON.parse(readFileSync(report, 'utf8')).testResults.flatMap(({ name, assertionResults }) =>
    assertionResults.map(({ fullName, status }) => ({
      file: name.slice(name.indexOf('/test/') + 1),
      name: fullName.trim(),
      status,
    })),
  )
}

/** The last test of this file looks at what the others of the file have done. */
const WHOLE = ['test/e2e/pages.test.ts']
const OPTIONAL = /\blacks\(|lacksSecretService|describeInBrowser/

const COMMANDS = {
  /** What was skipped because the machine lacked something: a pattern of its names, then its files, a line each. */
  skipped(report) {
    const tests = testsOf(report)
    const isSkipped = ({ file, status }) => status === 'skipped' && OPTIONAL.test(readFileSync(file, 'utf8'))
    const files = [...new Set(tests.filter(isSkipped).map(({ file }) => file))]
    const names = tests
      .filter((test) => isSkipped(test) || (WHOLE.includes(test.file) && files.includes(test.file)))
      .map(({ name }) => name.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&').replaceAll('\n', '\\n'))
    return [`(?:${names.join('|')})$`, ...files].join('\n')
  },

  /** Fails unless a test has passed for each name of a file. */
  ran(report, ...names) {
    const passed = testsOf(report).filter(({ status }) => status === 'passed')
    if (passed.length === 0) throw new Error('no test was run')
    const idle = names.filter((name) => !passed.some(({ file }) => file.includes(name)))
    if (idle.length > 0) throw new Error(`no test was run of ${idle.join(', ')}`)
    return `${passed.length} tests have passed`
  },

  /**
   * Tells what was skipped in every run, and fails if it is something for which the machine lacked a program at first, or
   * the whole of a file: one that the configuration gives to no run.
   */
  everywhere(...reports) {
    const tests = reports.flatMap(testsOf)
    const tested = new Set(tests.filter(({ status }) => status === 'passed').map(({ file }) => file))
    const files = readdirSync('test', { recursive: true }).filter((name) => name.endsWith('.test.ts'))
    const idle = files.map((name) => `test/${name.replaceAll('\\', '/')}`).filter((file) => !tested.has(file))
    if (idle.length > 0) throw new Error(`no test was run of ${idle.join(', ')}`)
    const idOf = ({ file, name }) => `${file}: ${name}`
    const passed = new Set(tests.filter(({ status }) => status === 'passed').map(idOf))
    const never = new Map(tests.map((test) => [idOf(test), test.file]).filter(([id]) => !passed.has(id)))
    const wrong = [...never].filter(([, file]) => OPTIONAL.test(readFileSync(file, 'utf8')))
    if (wrong.length > 0) throw new Error(`skipped in every run:\n${wrong.map(([id]) => id).join('\n')}`)
    return [`${passed.size} tests have passed; skipped in every run: ${never.size}`, ...never.keys()].join('\n')
  },
}

const [command, ...given] = process.argv.slice(2)
process.stdout.write(`${COMMANDS[command](...given)}\n`)
