/** A real Chromium for the tests that need one: Debian's, or the one that `CHROMIUM` names. */
import { type Browser, chromium } from 'playwright-core'
import { describe } from 'vitest'
import { lacks } from '../support/machine.ts'

const EXECUTABLE = process.env['CHROMIUM'] ?? '/usr/bin/chromium'

/** A `describe` for what happens in a browser. */
export function describeInBrowser(title: string, tests: () => void): void {
  describe.skipIf(lacks(EXECUTABLE))(title, tests)
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
