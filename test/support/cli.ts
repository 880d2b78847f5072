/**
 * The commands in this process, over a fake world: all of src/cli but the real network. A test file needs, at its top:
 * `vi.mock('../../src/node/runtime.ts', async (load) => ({ ...(await load<object>()), nodeRuntime: fakeNodeRuntime }))`
 */
import { openSync } from 'node:fs'
import { Readable, Writable } from 'node:stream'
import { parse } from 'dotenv'
import type { CliIO } from '../../src/cli/io.ts'
import type { NodeRuntimeOptions } from '../../src/node/runtime.ts'
import type { Runtime } from '../../src/ports.ts'
import type { FakeWorld } from './fake-atproto.ts'

let current: FakeWorld | undefined
const devNull = openSync('/dev/null', 'w')

/** What `nodeRuntime` is to be mocked with. */
export function fakeNodeRuntime({ onWarning, onRequest, save = [] }: NodeRuntimeOptions): Runtime {
  const world = current!
  return {
    ...world,
    async fetch(url, init) {
      const answer = await world.fetch(url, init)
      onRequest?.(`${init?.method ?? 'GET'} ${url.href} ${answer.status}`)
      return answer
    },
    warn: onWarning ?? (() => undefined),
    saving: { ...world.saving, inStore: save.includes('store') },
  }
}

export interface Ran {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** One command, as `runCli` of test/world/cli.ts would run it. */
export async function run(
  world: FakeWorld,
  args: readonly string[],
  {
    env = {},
    stdin = '',
    onStderr,
    stdoutError,
    stdoutFile = devNull,
    platform = 'linux',
    terminals = [],
    columns,
  }: {
    env?: Record<string, string>
    stdin?: string | Readable
    onStderr?: (text: string) => void
    /** What writing to stdout fails with. */
    stdoutError?: Error
    /** The descriptor of a file that stdout is redirected to. */
    stdoutFile?: number
    platform?: NodeJS.Platform
    terminals?: readonly ('stdout' | 'stderr')[]
    columns?: number
  } = {},
): Promise<Ran> {
  current = world
  const [stdout, stderr] = [sink(undefined, stdoutError), sink(onStderr)]
  const host = {
    arguments: args,
    environment: { ATPROTO_OAUTH_HOME: '/nowhere', ...env },
    platform,
    stdin: typeof stdin === 'string' ? Readable.from([Buffer.from(stdin)]) : stdin,
    stdout: Object.assign(stdout.stream, {
      fd: stdoutFile,
      ...(terminals.includes('stdout') && { isTTY: true, columns }),
    }),
    stderr: Object.assign(stderr.stream, terminals.includes('stderr') && { isTTY: true }),
  } as unknown as CliIO
  // Only now: what it imports is to be mocked by then.
  const { runProgram } = await import('../../src/cli/program.ts')
  const code = await runProgram(host)
  return { code, stdout: stdout.text(), stderr: stderr.text() }
}

/** `init`, and consent at the browser. @returns the callback URL */
export async function callbackFor(world: FakeWorld): Promise<string> {
  const { code, stdout, stderr } = await run(world, ['init', 'alice.fake.dev', '--scope', 'transition:generic'])
  if (code !== 0) throw new Error(stderr)
  return world.authorize(stdout.trim())
}

/** The whole login. @returns the variables that `complete` printed */
export async function signIn(world: FakeWorld): Promise<Record<string, string>> {
  const { code, stdout, stderr } = await run(world, ['complete'], { stdin: await callbackFor(world) })
  if (code !== 0) throw new Error(stderr)
  return parse(stdout)
}

function sink(onText?: (text: string) => void, error?: Error) {
  const chunks: Buffer[] = []
  const stream = new Writable({
    write(chunk: Buffer, _, done) {
      if (error) return done(error)
      chunks.push(Buffer.from(chunk))
      onText?.(Buffer.concat(chunks).toString('utf8'))
      done()
    },
  })
  return { stream, text: () => Buffer.concat(chunks).toString('utf8') }
}
