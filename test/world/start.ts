/**
 * Starts and stops the process the servers live in. They have a process of
 * their own because better-sqlite3 is compiled for one Node: tests may run on
 * another and name the servers' Node in `ATPROTO_OAUTH_WORLD_NODE`.
 */
import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { isKept } from '../support/machine.ts'
import type { WorldAddresses } from './main.ts'

export interface StartedWorld {
  readonly addresses: WorldAddresses
  stop(): Promise<void>
}

export async function startWorld(): Promise<StartedWorld> {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => isKept(name)))
  const child = fork(fileURLToPath(new URL('main.ts', import.meta.url)), {
    execPath: process.env['ATPROTO_OAUTH_WORLD_NODE'] ?? process.execPath,
    // The servers' dependencies are full of deprecations that are not ours to mend, and need none of what tsx does to CommonJS.
    execArgv: ['--no-deprecation', '--import', 'tsx/esm'],
    cwd: fileURLToPath(new URL('../..', import.meta.url)),
    env: { ...env, LOG_ENABLED: 'false' },
    stdio: ['ignore', 2, 2, 'ipc'], // a demo keeps stdout for itself
  })
  const exited = new Promise((resolve) => child.once('exit', resolve))
  const addresses = await new Promise<WorldAddresses>((resolve, reject) => {
    // tsx sends messages of its own.
    child.on('message', (message: { world?: WorldAddresses }) => message.world && resolve(message.world))
    child.once('error', reject)
    child.once('exit', (code) => reject(new Error(`the world ended before it began, with exit code ${code}`)))
  })
  return {
    addresses,
    async stop() {
      if (child.connected) child.disconnect()
      await exited
    },
  }
}
