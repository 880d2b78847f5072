/**
 * A real Chromium for the tests that need one: Debian's, or the one that `CHROMIUM` names. Without one they are skipped,
 * and say so; with `REQUIRE_BROWSER=1`, as in `.ci/run`, its absence is a failure.
 */
import { existsSync } from 'node:fs'
import { type Browser, chromium } from 'playwright-core'
import { describe } from 'vitest'

const EXECUTABLE = process.env['CHROMIUM'] ?? '/usr/bin/chromium'
const isThere = existsSync(EXECUTABLE)

/** A `describe` for what happens in a browser. */
export function describeInBrowser(title: string, tests: () => void): void {
  if (!isThere) {
    const told = `no Chromium at ${EXECUTABLE} (apt-get install chromium)`
    if (process.env['REQUIRE_BROWSER'] === '1') throw new Error(told)
    process.stderr.write(`SKIPPED: ${title}: ${told}\n`)
  }
  describe.skipIf(!isThere)(title, tests)
}

/** @param names host names, each with the port on loopback where it is to be found */
export function launch(names: Readonly<Record<string, number>> = {}): Promise<Browser> {
  const rules = Object.entries(names).map(([name, port]) => `MAP ${name} 127.0.0.1:${port}`)
  return chromium.launch({
    executablePath: EXECUTABLE,
    args: [
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      // Chromium's own sandbox does not work for root, which is who containers run tests as.
      ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
      ...(rules.length > 0 ? [`--host-resolver-rules=${rules.join(',')}`] : []),
    ],
  })
}
