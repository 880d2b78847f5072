/** Clients that distance.ts compares: our commands, each as a process of its own, and programs that do all in one. */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { type Home, runCli } from '../world/cli.ts'
import type { WorldAddresses } from '../world/main.ts'
import type { Far } from './far.ts'
import { REPORT_PEAK, reportedPeak } from './processes.ts'

const SCOPE = 'atproto transition:generic'
const METHOD = 'com.atproto.server.getSession'

export interface Done {
  readonly result: string
  /** As the client itself has measured it; otherwise it is the time until its end. */
  readonly milliseconds?: number
}

export interface Client {
  /** @returns the authorization URL */
  init(handle: string): Promise<Done>
  complete(callback: string): Promise<Done>
  call(): Promise<Done>
  refresh(): Promise<Done>
  end(): Promise<void>
}

/** The CLI with a store of its own. */
export function startOurs(far: Far, home: Home, world: WorldAddresses, store: string) {
  const env: Record<string, string | undefined> = {
    ...far.relay.env,
    ATPROTO_OAUTH_DEV: undefined,
    ATPROTO_OAUTH_HANDLE_RESOLVER: undefined,
    ATPROTO_OAUTH_PLC_URL: far.plcUrl,
    ATPROTO_OAUTH_HOME: join(home.path, store),
  }
  const run = async (args: readonly string[], stdin?: string, more: Readonly<Record<string, string>> = {}) => {
    const { code, stdout, stderr } = await runCli(args, { home, stdin, world, env: { ...env, ...more } })
    if (code !== 0) throw new Error(`${args.join(' ')}: exit code ${code}: ${stderr}`)
    return { result: stdout.trim(), stderr }
  }
  return {
    init: (handle: string) => run(['init', handle, '--scope', SCOPE]),
    complete: (callback: string) => run(['complete', '--save', 'store'], callback),
    call: () => run(['call', METHOD]),
    refresh: () => run(['refresh']),
    /** MiB that a call takes. */
    async memory() {
      const { stderr } = await run(['call', METHOD], undefined, {
        NODE_OPTIONS: `${env['NODE_OPTIONS']} ${REPORT_PEAK}`,
      })
      return reportedPeak(stderr)
    },
    end: async () => undefined,
  }
}

export interface Installed {
  readonly folder: string
  /** The Node that they need. */
  readonly node: string
}

export function installOthers(): Installed {
  const run = (script: string, ...args: string[]) =>
    execFileSync(fileURLToPath(new URL(script, import.meta.url)), args, { encoding: 'utf8' }).trim()
  return { folder: run('clients/install.sh'), node: join(run('../nodes/fetch.sh', '22'), 'bin', 'node') }
}

/** @param name of a program in clients/ */
export function startOther(name: string, far: Far, { node, folder }: Installed): Client {
  const child = spawn(node, [join(folder, `${name}.mjs`), far.plcUrl], {
    env: { PATH: process.env['PATH'], ...far.relay.env },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const ask = async (action: string, argument?: string) => {
    child.stdin.write(`${JSON.stringify({ action, argument })}\n`)
    const { value, done } = await lines.next()
    if (done) throw new Error(`${name}: ${action} failed`)
    return JSON.parse(value) as Done
  }
  return {
    init: (handle) => ask('init', handle),
    complete: (callback) => ask('complete', callback),
    call: () => ask('call', `/xrpc/${METHOD}`),
    refresh: () => ask('refresh'),
    async end() {
      const ended = once(child, 'exit')
      child.kill()
      await ended
    },
  }
}
